"""Export the backbone of a run, verify an exported module, or publish it.

Writes the backbone of a run, by default of its newest checkpoint, as a TensorFlow Hub
module (a SavedModel folder, and a .tar.gz of it), as a .keras file or as a .tflite
file, and checks that it gives the same features when it is loaded again; a module is
loaded in a fresh process. Publishing sends a module to Kaggle Models; kagglehub must be
logged in.

Examples:

    bt-keras export --workdir runs/demo --out runs/demo/module
    bt-keras export --workdir runs/demo --format keras --out backbone.keras
    bt-keras export --verify runs/demo/module
    bt-keras export --publish kaggle --out runs/demo/module \\
        --handle me/barlow-twins/tensorFlow2/demo --dry_run
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags

from bt_keras.cli import flags, start
from bt_keras.errors import UsageError

FORMATS = ("savedmodel", "keras", "tflite")
_DIFFERS = 1  # The exit status if a check fails.


def run(arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        arguments: The command's arguments.

    Returns:
        Integer, the exit status: 1 if a check of the module fails.
    """
    values = define_flags()
    flags.parse(values, arguments)
    _check(values)
    start.tensorflow()
    if values.publish:
        from bt_keras.export import kaggle

        # Before the export, which takes a while.
        kaggle.check_handle(values.handle)
        if values.workdir and not values.license:
            raise UsageError(
                "--license is missing, which Kaggle requires: give the SPDX name of "
                "the weights' license, such as --license=Apache-2.0."
            )
    if values.verify is not None:
        return _verify(values)
    if values.workdir:
        status = _export(values)
        if status:
            return status
    if values.publish:
        _publish(values)
    return 0


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    text = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    text("workdir", None, "Folder of the run to export.")
    flags.define_checkpoint(values)
    text(
        "out",
        None,
        "Folder of the module, or path of the .keras or .tflite file, which must not "
        "exist. If not given: WORKDIR/module, or WORKDIR/backbone.FORMAT.",
    )
    absl_flags.DEFINE_enum(
        "format",
        "savedmodel",
        FORMATS,
        "Format of the export: savedmodel, a module for TensorFlow Hub, with a .tar.gz "
        "next to it; keras, a .keras file that Keras loads without bt_keras; tflite, a "
        "file for TensorFlow Lite.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "projector", False, "Export the projector, too.", flag_values=values
    )
    text(
        "license",
        None,
        "SPDX name of the weights' license, such as Apache-2.0, for the model card. "
        "Kaggle Models requires one.",
    )
    text(
        "verify",
        None,
        "Module to check instead of an export: a folder, a .tar.gz or a URL. It is "
        "loaded in a process without bt_keras, and its outputs are compared with those "
        "at export. The exit status is 1 if a check fails. A module whose files differ "
        "from its SHA256SUMS is not loaded.",
    )
    absl_flags.DEFINE_bool(
        "trust",
        False,
        "With --verify: load a module whose files differ from its SHA256SUMS, or that "
        "has none. Loading a module runs the program in it.",
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
    _define_publishing_flags(values)
    return values


def _define_publishing_flags(values):
    absl_flags.DEFINE_enum(
        "publish",
        None,
        ["kaggle"],
        "Where to publish the module. Without --workdir, the module at --out is "
        "published without a new export.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "handle",
        None,
        "Name to publish the module under: OWNER/MODEL/tensorFlow2/VARIATION.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "dry_run",
        False,
        "List what --publish would send, and send nothing.",
        flag_values=values,
    )


def _check(values):
    """Rejects flags that contradict each other, before TensorFlow is imported."""
    if values.verify is not None:
        others = ("workdir", "out", "publish", "handle", "license")
        others += ("projector", "format", "dry_run", "checkpoint")
        given = [f"--{name}" for name in others if values[name].present]
        if given:
            raise UsageError(
                f"--verify checks an existing module: leave {given[0]} out."
            )
        return
    for name in ("trust", "max_bytes"):
        if values[name].present:
            raise UsageError(f"--{name} requires --verify.")
    if not values.workdir and not (values.publish and values.out):
        raise UsageError(
            "--workdir is missing: give the run to export (or --verify=MODULE, or "
            "--publish=kaggle --out=MODULE for an existing module)."
        )
    if values.checkpoint and not values.workdir:
        raise UsageError("--checkpoint requires --workdir.")
    if values.publish:
        if values.format != "savedmodel":
            raise UsageError(
                f"--publish sends modules: leave --format={values.format} out."
            )
    elif values.handle or values.dry_run:
        raise UsageError("--handle and --dry_run require --publish=kaggle.")
    if values.format != "savedmodel" and (values.projector or values.license):
        raise UsageError(
            "--projector and --license require --format=savedmodel, not "
            f"--format={values.format}."
        )


def _module(values):
    return Path(values.out or Path(values.workdir, "module"))


def _export(values):
    from bt_keras.export import export_run
    from bt_keras.workdir import Workdir

    workdir = Workdir(values.workdir)
    if values.format != "savedmodel":
        write = getattr(export_run, f"export_{values.format}")
        path = values.out or Path(values.workdir, f"backbone.{values.format}")
        difference = write(workdir, path, values.checkpoint)
        print(f"{path}: features differ by at most {difference:.2g} after reloading")
        return 0
    module = _module(values)
    checks = export_run.export(
        workdir,
        module,
        projector=values.projector,
        license=values.license,
        checkpoint=values.checkpoint,
    )
    if not all(check.passed for check in checks):
        return _print_checks(checks)
    print(
        f"{module} and {module.name}.tar.gz: {len(checks)} checks passed in a fresh "
        f"process (bt-keras export --verify={module} lists them)"
    )
    return 0


def _verify(values):
    from bt_keras.export import verify

    limit = {} if values.max_bytes is None else {"max_bytes": values.max_bytes}
    checks = verify.verify(values.verify, trust=values.trust, **limit)
    status = _print_checks(checks)
    files, *others = checks
    if not others and not files.passed:
        print("The module was not loaded: --trust does so if you trust its author.")
    return status


def _print_checks(checks):
    from bt_keras.evaluation.report import table

    header = ("check", "expected", "found", "")
    rows = [
        (c.name, c.expected, c.found, "ok" if c.passed else "DIFFERS") for c in checks
    ]
    print(table(header, rows))
    failed = sum(not check.passed for check in checks)
    print(f"\n{len(checks) - failed} of {len(checks)} checks passed")
    return _DIFFERS if failed else 0


def _publish(values):
    from bt_keras.export import kaggle

    upload = kaggle.prepare(_module(values), values.handle)
    print(f"to {upload.handle} on Kaggle Models:")
    print(f"  license: {upload.license_name}")
    print(f"  version notes: {upload.version_notes}")
    for name, size in upload.files:
        print(f"  {size:>12,}  {name}")
    if values.dry_run:
        print("nothing was sent: --dry_run")
        return
    kaggle.publish(upload)
    print(f"published as {upload.handle}")
