"""Compute the features of images with an exported module.

Writes the features of all images of a split, with the names of their files (for data
sets that are not folders of images, their positions) and their labels if there are any.
Features are written in blocks, so that those of any number of images fit in memory.

A .npz file has the arrays features (N, F), file_names, labels and class_names; a
.parquet file has the columns file_name, feature, label and class_name.

Examples:

    bt-keras embed --module module/ --source photos/ --out features.npz
    bt-keras embed --module module/ --source tfds:cifar10 --split test \\
        --out features.parquet
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import faults, flags, image_flags, start

ADVICE = faults.Advice(memory="lower --batch_size")


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    absl_flags.DEFINE_string(
        "module",
        None,
        "Exported module: a folder, a .tar.gz file, a URL or the name of a published "
        "model.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "out",
        None,
        "File of the features, which must not exist; ends in .npz or .parquet.",
        flag_values=values,
    )
    for name in ("module", "out"):
        absl_flags.mark_flag_as_required(name, flag_values=values)
    image_flags.define(values, "Images, with or without labels", "module")
    absl_flags.DEFINE_string(
        "split", "train", "Split of the images.", flag_values=values
    )
    absl_flags.DEFINE_integer(
        "batch_size",
        None,
        "Number of images per batch. Defaults to that in the module's config.",
        1,
        10**6,
        flag_values=values,
    )
    return values


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments)
    start.tensorflow()

    from bt_keras.data.from_config import open_source
    from bt_keras.evaluation import feature_files
    from bt_keras.evaluation.embed import embed
    from bt_keras.evaluation.target import target_from_module

    feature_files.check_path(values.out)
    target = target_from_module(values.module)
    config = target.config
    image_flags.apply(values, config)
    if values.batch_size:
        config.evaluation.batch_size = values.batch_size
    name = target.source_name(values.source)
    source = open_source(config, values.split, name)
    print(source.describe(), flush=True)
    table = embed(target, source, values.out)
    print(f"{values.out}: {len(table.file_names)} x {table.dimension} features")
