"""Barlow Twins self-supervised learning for Keras 3 on TensorFlow.

Examples:

    bt-keras plan --config configs/cifar10.py
    bt-keras pretrain --config configs/cifar10.py --workdir runs/cifar10
    bt-keras evaluate --workdir runs/cifar10
    bt-keras export --workdir runs/cifar10 --out runs/cifar10/module
    bt-keras finetune --module runs/cifar10/module --source photos/ --out cats.keras
    bt-keras embed --module runs/cifar10/module --source photos/ --out features.npz
    bt-keras convert --input resnet50.pth --output resnet50.keras
    bt-keras report --workdir runs/cifar10
    bt-keras compare runs/*
    bt-keras study loss

Usage:

    bt-keras COMMAND [--FLAG=VALUE ...]
    bt-keras COMMAND --help
"""

from __future__ import annotations

import importlib
import logging as std_logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType

from absl import flags as absl_flags
from absl import logging

from bt_keras.cli import environment, faults, flags, signals, streams
from bt_keras.errors import UsageError

# Each name is a module of `bt_keras.cli`: its docstring is the command's manual,
# `define_flags()` returns its flags and `run(arguments)` its exit status. If they are
# there, `manual_end()` returns the end of the manual, `ADVICE` is what to say about
# general faults, and `POSITIONAL` names the arguments that are not flags.
COMMANDS = (
    "pretrain",
    "evaluate",
    "export",
    "convert",
    "report",
    "config",
    "plan",
    "finetune",
    "embed",
    "compare",
    "study",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Nothing is raised: every fault becomes one line on stderr and an exit status.

    Args:
        argv: The command and its flags. Defaults to those of the process.

    Returns:
        The exit status.
    """
    return guard(_run, list(sys.argv[1:] if argv is None else argv))


def guard(run: Callable[[list[str]], int | None], arguments: list[str]) -> int:
    """Runs a function as a command runs: in its environment, without tracebacks.

    Args:
        run: Function of the arguments that returns an exit status, or `None` for 0.
        arguments: List of strings.

    Returns:
        The exit status.
    """
    with streams.tolerant() as stdout, signals.raising() as raiser:
        try:
            _configure_logging()
            environment.prepare()
            status = run(arguments) or 0
            stdout.flush()
        except BaseException as error:
            # An interrupted import, for example, raises exceptions of its own.
            status = _report(raiser.raised or error, arguments)
        else:
            status = status or _report_lost_output(stdout.error, arguments)
    return status


def _report(error: BaseException, arguments: list[str]) -> int:
    """Prints one line about an exception; returns the exit status."""
    if os.environ.get(faults.TRACEBACK, "0") != "0":
        traceback.print_exception(error)
    fault = faults.describe(error, _advice(arguments))
    print(f"bt-keras: {fault.message}", file=sys.stderr)
    return fault.status


def _report_lost_output(error: OSError | None, arguments: list[str]) -> int:
    """Prints one line if stdout could not be written; returns the exit status."""
    if error is None:
        return 0
    is_progress = _advice(arguments).resumes
    if isinstance(error, BrokenPipeError) and not is_progress:
        return faults.CLOSED_PIPE  # Its reader, such as `head`, has read enough.
    effect = "the run is finished" if is_progress else "the output is lost"
    print(
        f"bt-keras: {'warning' if is_progress else 'error'}: standard output cannot be "
        f"written ({error.strerror}); {effect}.",
        file=sys.stderr,
    )
    return 0 if is_progress else faults.BAD_INPUT


def _advice(arguments: list[str]) -> faults.Advice:
    if not arguments or set(flags.HELP) & set(arguments):
        return faults.Advice()
    module = sys.modules.get(f"bt_keras.cli.{arguments[0]}")
    return getattr(module, "ADVICE", faults.Advice())


def _run(arguments: list[str]) -> int | None:
    name = arguments[0] if arguments else "help"
    if name == "help" or name in flags.HELP:
        print(_overview())
        return 0
    if name not in COMMANDS:
        raise UsageError(
            f"there is no command {name!r}; the commands are {', '.join(COMMANDS)}."
        )
    command = _module(name)
    if set(flags.HELP) & set(arguments):
        positional = getattr(command, "POSITIONAL", "")
        doc, own = command.__doc__ or "", command.define_flags()
        print(flags.manual(name, doc, own, positional))
        if hasattr(command, "manual_end"):
            print("\n" + command.manual_end())
        return 0
    return command.run(arguments[1:])


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"bt_keras.cli.{name}")


def _overview() -> str:
    width = max(map(len, COMMANDS))
    summaries = (
        (name, flags.summary(_module(name).__doc__ or "")) for name in COMMANDS
    )
    lines = (f"    {name:{width}}  {summary}" for name, summary in summaries)
    return "\n".join([__doc__.strip(), "", "Commands:", "", *lines])


def _configure_logging() -> None:
    """Prints our warnings without absl's prefix, and hides those of TFDS."""
    absl_flags.FLAGS.mark_as_parsed()
    logging.use_absl_handler()
    logging.set_verbosity(logging.WARNING)
    handler = logging.get_absl_handler()
    handler.setFormatter(std_logging.Formatter("bt-keras: warning: %(message)s"))
    handler.addFilter(_is_not_from_tfds)
    # What Pillow warns about in damaged files is reported with the file's name.
    warnings.filterwarnings("ignore", module="PIL")


def _is_not_from_tfds(record: std_logging.LogRecord) -> bool:
    return "tensorflow_datasets" not in record.pathname
