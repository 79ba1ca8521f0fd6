"""Export a backbone, verify an exported module, or publish it.

Writes the backbone of a run, by default of its newest checkpoint, or of a file of
weights as a TensorFlow Hub module (a SavedModel folder, and a .tar.gz of it) or in
another format, and checks that it gives the same features when it is loaded again; a
module is loaded in a fresh process. Publishing sends a module to Kaggle Models or
Hugging Face, where you must be logged in.

Examples:

    bt-keras export --workdir runs/demo --out runs/demo/module
    bt-keras export --workdir runs/demo --format keras --out backbone.keras
    bt-keras export --input resnet50.pth --out resnet50
    bt-keras export --input resnet50.pth --format keras_hub --out preset
    bt-keras export --verify runs/demo/module
    bt-keras export --publish kaggle --out runs/demo/module \\
        --handle me/barlow-twins/tensorFlow2/demo --dry_run
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from bt_keras.cli import flags, start
from bt_keras.cli.export_flags import check, define_flags
from bt_keras.export.formats import FORMATS, MODULE
from bt_keras.export.publishers import PUBLISHERS

__all__ = ["define_flags", "run"]

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
    check(values)
    start.tensorflow()
    if values.verify is not None:
        return _verify(values)
    if values.workdir or values.input:
        status = _export(values)
        if status:
            return status
    if values.publish:
        _publish(values)
    return 0


def _module(values):
    return Path(values.out or Path(values.workdir, "module"))


def _export(values):
    from bt_keras.export import export_run
    from bt_keras.workdir import Workdir

    workdir = Workdir(values.workdir) if values.workdir else None
    load = functools.partial(_load, values, workdir)
    if values.format != MODULE:
        path = values.out or Path(values.workdir, FORMATS[values.format].file)
        difference = export_run.export_as(values.format, load, path)
        print(f"{path}: features differ by at most {difference:.2g} after reloading")
        return 0
    module = _module(values)
    checks = export_run.export(
        load, module, projector=values.projector, workdir=workdir
    )
    if not all(check.passed for check in checks):
        return _print_checks(checks)
    print(
        f"{module} and {module.name}.tar.gz: {len(checks)} checks passed in a fresh "
        f"process (bt-keras export --verify={module} lists them)"
    )
    return 0


def _load(values, workdir):
    from bt_keras.errors import listed
    from bt_keras.export import source

    if workdir:
        return source.from_run(workdir, values.checkpoint, values.license)
    loaded = source.from_weights(values.input, values.image_size, values.license)
    name, count = loaded.backbone.name, loaded.backbone.count_params()
    left = f"; left out: {listed(loaded.left)}" if loaded.left else ""
    print(f"{values.input}: {name} ({count:,} weights){left}", flush=True)
    return loaded


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
    from bt_keras.evaluation.tables import table

    header = ("check", "expected", "found", "")
    rows = [
        (c.name, c.expected, c.found, "ok" if c.passed else "DIFFERS") for c in checks
    ]
    print(table(header, rows))
    failed = sum(not check.passed for check in checks)
    print(f"\n{len(checks) - failed} of {len(checks)} checks passed")
    return _DIFFERS if failed else 0


def _publish(values):
    from bt_keras.export import publishing

    publisher = PUBLISHERS[values.publish]
    upload = publishing.prepare(publisher, _module(values), values.handle)
    print(f"to {upload.handle} on {publisher.title}:")
    print(f"  license: {upload.license_name or 'not stated'}")
    print(f"  version notes: {upload.version_notes}")
    for name, size in upload.files:
        note = " (changed for this host)" if name in upload.changed else ""
        print(f"  {size:>12,}  {name}{note}")
    if values.dry_run:
        print("nothing was sent: --dry_run")
        return
    publishing.publish(publisher, upload)
    print(f"published as {upload.handle}")
