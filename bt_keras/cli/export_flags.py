"""The flags of `bt-keras export`."""

from __future__ import annotations

import functools

from absl import flags as absl_flags

from bt_keras.cli import flags
from bt_keras.errors import UsageError
from bt_keras.export.formats import FORMATS, MODULE
from bt_keras.export.publishers import PUBLISHERS

_PUBLISH = " or ".join(f"--publish={name}" for name in PUBLISHERS)


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    _define_source_flags(values)
    _define_export_flags(values)
    _define_verification_flags(values)
    _define_publishing_flags(values)
    return values


def _define_source_flags(values):
    text = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    text("workdir", None, "Folder of the run to export.")
    flags.define_checkpoint(values)
    text(
        "input",
        None,
        "Weights to export instead of a run: PyTorch weights (.pth, .pt, .ckpt, "
        ".torch, .safetensors or .npz) or a .keras file. Requires --out.",
    )
    absl_flags.DEFINE_integer(
        "image_size",
        None,
        "With --input: side in pixels of the squares that encoded images are resized "
        "and cropped to, and of the images of a .tflite file. Defaults to the size "
        "that the network takes, or 224.",
        lower_bound=1,
        flag_values=values,
    )


def _define_export_flags(values):
    text = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    text(
        "out",
        None,
        "Folder of the module, or path of another --format, which must not exist. If "
        "not given: WORKDIR/module, or in WORKDIR "
        + ", ".join(each.file for each in FORMATS.values())
        + ".",
    )
    absl_flags.DEFINE_enum(
        "format",
        MODULE,
        [MODULE, *FORMATS],
        f"Format of the export: {MODULE}, a module for TensorFlow Hub, with a .tar.gz "
        "next to it"
        + "".join(f"; {name}, {each.summary}" for name, each in FORMATS.items())
        + ".",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "projector", False, "Export the projector, too.", flag_values=values
    )
    text(
        "license",
        None,
        "SPDX name of the weights' license, such as Apache-2.0, for the model card. "
        + " and ".join(e.title for e in PUBLISHERS.values() if e.requires_license)
        + " requires one.",
    )


def _define_verification_flags(values):
    absl_flags.DEFINE_string(
        "verify",
        None,
        "Module to check instead of an export: a folder, a .tar.gz, a URL or the name "
        "of a published model. It is loaded in a process without bt_keras, and its "
        "outputs are compared with those at export. The exit status is 1 if a check "
        "fails. A module whose files differ from its SHA256SUMS is not loaded.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "trust",
        False,
        "With --verify: load a module whose files differ from its SHA256SUMS, or that "
        "has none. Loading a module executes the code in it.",
        flag_values=values,
    )
    absl_flags.DEFINE_integer(
        "max_bytes",
        None,
        "With --verify: the most bytes that the files of an archive may have. Defaults "
        "to 8 GiB.",
        lower_bound=1,
        flag_values=values,
    )


def _define_publishing_flags(values):
    absl_flags.DEFINE_enum(
        "publish",
        None,
        [*PUBLISHERS],
        "Where to publish the module. Without --workdir, the module at --out is "
        "published without a new export.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "handle",
        None,
        "Name to publish the module under: "
        + ", ".join(f"{each.handle} ({name})" for name, each in PUBLISHERS.items())
        + ".",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "dry_run",
        False,
        "List what --publish would send, and send nothing.",
        flag_values=values,
    )


def check(values: absl_flags.FlagValues) -> None:
    """Rejects flags that contradict each other, before TensorFlow is imported.

    Args:
        values: The command's flags.

    Raises:
        UsageError: If a flag is missing, or two exclude each other.
    """
    if values.verify is not None:
        others = ["workdir", "out", "publish", "handle", "license"]
        others += ["projector", "format", "dry_run", "checkpoint", "input"]
        others += ["image_size"]
        given = [f"--{name}" for name in others if values[name].present]
        if given:
            raise UsageError(
                f"--verify checks an existing module: leave {given[0]} out."
            )
        return
    for name in ("trust", "max_bytes"):
        if values[name].present:
            raise UsageError(f"--{name} requires --verify.")
    _check_source(values)
    if values.checkpoint and not values.workdir:
        raise UsageError("--checkpoint requires --workdir.")
    if values.publish:
        if values.format != MODULE:
            raise UsageError(
                f"--publish sends modules: leave --format={values.format} out."
            )
        _check_publishing(values)
    elif values.handle or values.dry_run:
        raise UsageError(f"--handle and --dry_run require {_PUBLISH}.")
    if values.format != MODULE and (values.projector or values.license):
        raise UsageError(
            f"--projector and --license require --format={MODULE}, not "
            f"--format={values.format}."
        )


def _check_publishing(values):
    """Finds what would be found after the export, which takes a while."""
    publisher = PUBLISHERS[values.publish]
    publisher.check_handle(values.handle)
    is_export = values.workdir or values.input
    if is_export and publisher.requires_license and not values.license:
        raise UsageError(
            f"--license is missing, which {publisher.title} requires: give the SPDX "
            "name of the weights' license, such as --license=Apache-2.0."
        )
    if not values.dry_run:
        publisher.check_login()


def _check_source(values):
    if values.input and values.workdir:
        raise UsageError("--input and --workdir are two sources: give one of them.")
    if values.input and not values.out:
        raise UsageError("--input requires --out, the module or file to write.")
    if values.image_size and not values.input:
        raise UsageError("--image_size requires --input; a run has its config's size.")
    if not (values.workdir or values.input or (values.publish and values.out)):
        raise UsageError(
            "--workdir is missing: give the run to export (or --input=WEIGHTS, "
            "--verify=MODULE, or --publish=HOST --out=MODULE for an existing module)."
        )
