"""Convert weights between PyTorch and Keras.

The extension of --input gives the direction: PyTorch weights become a .keras file, a
.keras file or a run becomes a PyTorch file. With --config and --workdir, a checkpoint
of the official code becomes a run that `bt-keras pretrain` resumes. PyTorch is not
needed, no code from a file is run, and existing files are not overwritten.

Examples:

    bt-keras convert --input resnet50.pth --output resnet50.keras
    bt-keras convert --input runs/demo --output demo.pth --naming torchvision
    bt-keras convert --input runs/demo --output checkpoint.pth --checkpoint
    bt-keras convert --input checkpoint.pth --config default --workdir runs/resumed
"""

from __future__ import annotations

import math
from pathlib import Path

from absl import flags as absl_flags

from bt_keras.cli import config_flags, flags, start
from bt_keras.errors import UsageError

# Flags of the direction from Keras to PyTorch.
_TO_TORCH = ("naming", "classes", "checkpoint", "epoch")


def run(arguments: list[str]) -> None:
    """Runs the command with the given command-line arguments."""
    values = define_flags()
    flags.parse(values, arguments, known_only=config_flags.are_given(arguments))
    source = Path(values.input)
    if not source.exists():
        raise UsageError(f"--input={source}: there is no such file or folder.")
    if source.suffix.lower() == ".keras" or source.is_dir():
        _check(values, "from Keras to PyTorch", ["output"], ("config", "workdir"))
        _check_no_fields(arguments)
        print(_to_torch(values))
    elif values.workdir or values.config:
        excluded = ("output", *_TO_TORCH)
        _check(values, "to a workdir", ["config", "workdir"], excluded)
        print(_to_workdir(values, arguments))
    else:
        _check(values, "from PyTorch to Keras", ["output"], _TO_TORCH)
        _check_no_fields(arguments)
        print(_to_keras(values))


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()

    def string(name, text):
        absl_flags.DEFINE_string(name, None, text, flag_values=values)

    string(
        "input",
        "File to convert: PyTorch weights (.pth, .pt, .ckpt, .torch, .safetensors or "
        ".npz) or a .keras file; or the folder of a run, whose latest checkpoint is "
        "converted.",
    )
    absl_flags.mark_flag_as_required("input", flag_values=values)
    string(
        "output",
        "File to create: .keras for PyTorch weights; .pth, .pt, .safetensors or .npz "
        "for a .keras file or a run. Required without --config and --workdir.",
    )
    string(
        "config",
        "Config of the resumed training, as for `bt-keras pretrain`. "
        "--config.FIELD=VALUE overrides a field. Requires --workdir.",
    )
    string(
        "workdir",
        "New or empty folder for a run that resumes from the official checkpoint.pth. "
        "Requires --config.",
    )
    _define_torch_flags(values)
    return values


def _define_torch_flags(values):
    absl_flags.DEFINE_enum(
        "naming",
        None,
        ["official", "torchvision", "detectron2"],
        "Names of the tensors in the PyTorch file: those of the official Barlow Twins "
        "code, or, for the backbone alone, those of torchvision or Detectron2. "
        "Defaults to official.",
        flag_values=values,
    )
    absl_flags.DEFINE_integer(
        "classes",
        None,
        "Number of classes of the classifier `fc`, whose weights are zero; 0 omits it. "
        "Requires --naming=torchvision. Defaults to 1000.",
        lower_bound=0,
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "checkpoint",
        None,
        "Write a whole checkpoint with optimizer state, from which the official code "
        "resumes. Requires --naming=official and a .pth or .pt file.",
        flag_values=values,
    )
    absl_flags.DEFINE_integer(
        "epoch",
        None,
        "Number of completed epochs to store in the checkpoint, if --input does not "
        "store it. Requires --checkpoint.",
        lower_bound=0,
        flag_values=values,
    )


def _check(values, direction, required, excluded):
    missing = [name for name in required if not values[name].value]
    if missing:
        raise UsageError(f"to convert {direction}, pass --{' and --'.join(missing)}.")
    for name in excluded:
        if values[name].value is not None:
            raise UsageError(
                f"--{name} cannot be used to convert --input={values.input} "
                f"{direction}: remove it."
            )


def _check_no_fields(arguments):
    if config_flags.are_given(arguments):
        raise UsageError("--config.FIELD=VALUE requires --config and --workdir.")


def _to_keras(values):
    if Path(values.output).suffix.lower() != ".keras":
        raise UsageError(f"--output={values.output} must end in .keras.")
    from bt_keras import convert
    from bt_keras.convert import weight_files

    output = Path(values.output)
    weight_files.check_new(output)
    start.tensorflow()
    model = convert.from_torch(values.input)
    with weight_files.writing(output) as temporary:
        model.save(temporary)
    return f"{output}: {_describe(model)}"


def _to_workdir(values, arguments):
    from bt_keras import config as config_lib

    config = config_lib.load(values.config)
    config = config_flags.override(config, arguments, values)
    config_lib.check(config)
    start.tensorflow()

    from bt_keras.convert.to_workdir import to_workdir

    model, epoch, differences = to_workdir(values.input, config, values.workdir)
    notes = f" ({'; '.join(differences)})" if differences else ""
    return (
        f"{values.workdir}: {_describe(model)}, after epoch {epoch} of "
        f"{config.epochs}{notes}; resume with "
        f"`bt-keras pretrain --workdir {values.workdir}`"
    )


def _to_torch(values):
    from bt_keras.convert import weight_files

    naming = values.naming or "official"
    output = Path(values.output)
    suffix = weight_files.get_suffix(output)
    if values.classes is not None and naming != "torchvision":
        raise UsageError("--classes requires --naming=torchvision.")
    if values.checkpoint and (naming != "official" or suffix not in (".pth", ".pt")):
        raise UsageError(
            "--checkpoint requires --naming=official and a .pth or .pt --output."
        )
    if values.epoch is not None and not values.checkpoint:
        raise UsageError("--epoch requires --checkpoint.")
    weight_files.check_new(output)
    start.tensorflow()

    from bt_keras import convert
    from bt_keras.convert import keras_source

    model, progress = keras_source.load_model(values.input, bool(values.checkpoint))
    optimizer = ""
    if values.checkpoint:
        epoch = keras_source.completed_epochs(values.input, progress, values.epoch)
        tree = convert.to_checkpoint(model, epoch)
        optimizer = f", optimizer state, after epoch {epoch}"
    elif naming == "detectron2" and suffix in (".pth", ".pt"):
        tree = convert.to_detectron2(model)
    else:
        classes = 1000 if values.classes is None else values.classes
        tree = convert.to_torch(model, naming, classes)
    convert.save(output, tree)
    state = tree.get("model", tree)
    return f"{output}: {naming} names, {len(state)} arrays{optimizer}"


def _describe(model):
    """Describes a converted model: its kind, depth and number of arrays."""
    backbone = getattr(model, "backbone", model)
    arrays = len(model.weights)
    numbers = sum(math.prod(v.shape) for v in model.weights)
    kind = "BarlowTwins with a " if backbone is not model else ""
    depth = backbone.name.removeprefix("resnet")
    optimizer = ", optimizer state" if getattr(model, "optimizer", None) else ""
    return f"{kind}ResNet-{depth}, {arrays} arrays, {numbers:,} numbers{optimizer}"
