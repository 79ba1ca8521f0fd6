"""Export the backbone of a run, verify an exported module, or publish it.

Writes the backbone of the newest checkpoint as a TensorFlow Hub module (a SavedModel
folder, and a .tar.gz of it), as a .keras file or as a .tflite file, and checks in a
fresh process that the written file gives the same features.

Examples:

    bt-keras export --workdir runs/demo --out runs/demo/module
    bt-keras export --workdir runs/demo --format keras --out backbone.keras
    bt-keras export --verify runs/demo/module
"""

from pathlib import Path

from absl import flags as absl_flags

from bt_keras.cli import flags, start
from bt_keras.errors import UsageError

FORMATS = ("savedmodel", "keras", "tflite")
_DIFFERENT = 1


def run(arguments):
    """Writes a run's backbone for others, checks it, or publishes it."""
    values = define_flags()
    flags.parse(values, arguments)
    _check(values)
    start.tensorflow()
    if values.publish:
        from bt_keras.export import kaggle

        kaggle.parse(values.handle)  # Before the export takes its time.
    if values.verify is not None:
        return _verify(values.verify)
    if values.workdir:
        status = _export(values)
        if status:
            return status
    if values.publish:
        _publish(values)
    return 0


def define_flags():
    """Returns the command's flags."""
    values = flags.new()
    text, switch = absl_flags.DEFINE_string, absl_flags.DEFINE_bool
    text("workdir", None, "The folder of the run.", flag_values=values)
    text(
        "out",
        None,
        "What to write: the folder of the module (WORKDIR/module if not given), or the "
        "file of another format.",
        flag_values=values,
    )
    absl_flags.DEFINE_enum(
        "format",
        "savedmodel",
        FORMATS,
        "savedmodel (for TensorFlow Hub, with a .tar.gz beside it), keras (a .keras "
        "file that needs Keras alone) or tflite.",
        flag_values=values,
    )
    switch("projector", False, "Export the projector too.", flag_values=values)
    text(
        "license",
        None,
        "The licence of the weights, such as Apache-2.0, for the model card.",
        flag_values=values,
    )
    text(
        "verify",
        None,
        "Only check this module: load it in a fresh process without bt_keras and try "
        "all it offers; status 1 if anything differs.",
        flag_values=values,
    )
    absl_flags.DEFINE_enum(
        "publish",
        None,
        ["kaggle"],
        "Send the module to Kaggle Models, as --handle says; without --workdir the "
        "one that --out names.",
        flag_values=values,
    )
    text("handle", None, "OWNER/MODEL/tensorFlow2/VARIATION.", flag_values=values)
    switch(
        "dry_run",
        False,
        "With --publish: lay the folder out and show what would be sent.",
        flag_values=values,
    )
    return values


def _check(values):
    """Refuses what does not go together, before TensorFlow is waited for."""
    if values.verify is not None:
        others = ("workdir", "out", "publish", "handle", "license")
        others += ("projector", "format", "dry_run")
        given = [f"--{name}" for name in others if values[name].present]
        if given:
            raise UsageError(
                f"--verify checks a module as it is: leave {given[0]} out."
            )
        return
    if not values.workdir and not (values.publish and values.out):
        raise UsageError(
            "--workdir is missing: the run to export (or --verify=MODULE, or "
            "--publish=kaggle --out=MODULE for a module that is there already)."
        )
    if values.publish:
        if values.format != "savedmodel":
            raise UsageError(f"--publish sends modules, not --format={values.format}.")
    elif values.handle or values.dry_run:
        raise UsageError("--handle and --dry_run belong to --publish=kaggle.")
    if values.format != "savedmodel" and (values.projector or values.license):
        raise UsageError(
            "--projector and --license belong to --format=savedmodel, not "
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
        difference = write(workdir, path)
        print(f"{path}: features differ by at most {difference:.2g} after reloading")
        return 0
    module = _module(values)
    checks = export_run.export(
        workdir, module, projector=values.projector, license=values.license
    )
    if not all(check.passed for check in checks):
        return _show(checks)
    print(
        f"{module} and {module.name}.tar.gz: {len(checks)} checks passed in a fresh "
        f"process (bt-keras export --verify={module} lists them)"
    )
    return 0


def _verify(module):
    from bt_keras.export import verify

    return _show(verify.verify(module))


def _show(checks):
    from bt_keras.evaluation.report import table

    header = ("check", "expected", "found", "")
    rows = [
        (c.name, c.expected, c.found, "ok" if c.passed else "DIFFERS") for c in checks
    ]
    print(table(header, rows))
    failed = sum(not check.passed for check in checks)
    print(f"\n{len(checks) - failed} of {len(checks)} checks passed")
    return _DIFFERENT if failed else 0


def _publish(values):
    from bt_keras.export import kaggle

    module = _module(values)
    target = module.with_name(module.name + "-kaggle")
    folder = kaggle.lay_out(module, values.handle, target)
    sizes = kaggle.listing(folder)
    print(f"{target}: the folder for Kaggle Models; to {values.handle} go")
    for name, size in sizes:
        print(f"  {size:>12,}  {name}")
    if values.dry_run:
        print("nothing is sent: --dry_run")
        return
    kaggle.publish(folder, values.handle)
    print(f"published as {values.handle}")
