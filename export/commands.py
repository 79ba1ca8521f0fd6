"""The commands of `python -m export`, each thin over the module that does the work."""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import export as export_command
from bt_keras.cli import flags, start
from bt_keras.errors import UsageError
from bt_keras.evaluation.tables import table
from export import records
from export.rebuild import rebuild


def run(arguments: Sequence[str]) -> int:
    """Runs a command.

    Args:
        arguments: The name of a command, by default `list`, and its arguments.

    Returns:
        Integer, the exit status: 1 if a check of a model fails.

    Raises:
        UsageError: If there is no such command or model, or an argument is wrong.
    """
    name, *rest = arguments or ["list"]
    if name not in _COMMANDS:
        raise UsageError(
            f"there is no command {name!r}; the commands of python -m export are "
            f"{', '.join(_COMMANDS)}."
        )
    return _COMMANDS[name](rest)


def _list(arguments):
    _parse(flags.new(), arguments, most=0)
    read = {name: records.read(name) for name in records.names()}
    header = ("model", "size", "parameters", "multiply-adds", "features", "license")
    print(table(header, [_summary(*item) for item in read.items()]))
    if rows := [row for item in read.items() for row in _accuracies(*item)]:
        header = ("model", "images", "kNN top-1 %", "linear top-1 %")
        print(f"\n{table(header, rows)}")
    return 0


def _summary(name, record):
    if record is None:
        return (name, "not built", *[""] * 4)
    return (
        name,
        f"{record['bytes'] / 1e6:.1f} MB",
        f"{record['parameters']:,}",
        f"{record['multiply_adds']:,}",
        str(record["feature_dim"]),
        record["license"],
    )


def _accuracies(name, record):
    """Yields a row for each data set, first that of the training."""
    top1 = {
        (row["source"], row["evaluator"]): row["value"]
        for row in (record or {}).get("results", ())
        if (row["backbone"], row["metric"]) == ("pretrained", "top1")
    }
    for source in dict.fromkeys(source for source, _ in top1):
        found = [top1.get((source, kind)) for kind in ("knn", "linear_cached")]
        shown = ("" if value is None else f"{100 * value:.2f}" for value in found)
        yield (name, source, *shown)


def _rebuild(arguments):
    values = flags.new()
    absl_flags.DEFINE_string("workdir", None, "Folder of the run.", flag_values=values)
    absl_flags.DEFINE_multi_string("transfer", None, "Data.", flag_values=values)
    names = _parse(values, arguments, most=1)
    if not names:
        raise UsageError("name the model to rebuild: python -m export rebuild NAME.")
    records.check(names[0])
    return rebuild(names[0], values.workdir, values.transfer)


def _verify(arguments):
    names = _parse(flags.new(), arguments) or records.built()
    for name in names:
        records.check(name, built=True)
    status = 0
    for name in names:
        differing = records.differing(name)
        for line in differing:
            print(f"{name}: {line}")
        # `run` prints its own table.
        print(f"{name}: {records.archive(name)}", flush=True)
        failed = export_command.run([f"--verify={records.archive(name)}"])
        status = max(status, failed, bool(differing))
    return status


def _publish(arguments):
    name, *rest = arguments or [""]
    records.check(name, built=True)
    if not any(argument.startswith("--publish") for argument in rest):
        raise UsageError("--publish is missing: say where to, as in --publish=kaggle.")
    for flag in ("out", "workdir", "input", "verify"):
        if any(argument.lstrip("-").split("=")[0] == flag for argument in rest):
            raise UsageError(f"--{flag}: publish sends the model {name}; leave it out.")
    start.tensorflow()

    from bt_keras.files.scratch import scratch_folder
    from bt_keras.hub import resolve

    with scratch_folder() as scratch:
        folder = resolve.resolve(records.archive(name), scratch)
        return export_command.run([f"--out={folder}", *rest])


def _parse(values, arguments, most=None):
    """Returns the arguments that are not flags, at most this many."""
    rest = flags.parse(values, arguments, positional=True)
    if most is not None and len(rest) > most:
        raise UsageError(f"{rest[most]!r} is one argument too many: leave it out.")
    return rest


_COMMANDS = {
    "list": _list,
    "rebuild": _rebuild,
    "verify": _verify,
    "publish": _publish,
}
