"""Barlow Twins self-supervised learning for Keras 3 on TensorFlow.

Examples:

    bt-keras pretrain --config configs/cifar10.py --workdir runs/cifar10
    bt-keras evaluate --workdir runs/cifar10
    bt-keras export --workdir runs/cifar10 --out runs/cifar10/module
    bt-keras convert --input resnet50.pth --output resnet50.keras
    bt-keras report --workdir runs/cifar10

Usage:

    bt-keras COMMAND [--FLAG=VALUE ...]
    bt-keras COMMAND --help
"""

from __future__ import annotations

import importlib
import logging as std_logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from absl import flags as absl_flags
from absl import logging

from bt_keras.cli import flags
from bt_keras.errors import StoppedError, UsageError, one_line

# Each name is a module of `bt_keras.cli`: its docstring is the command's manual,
# `define_flags()` returns its flags, and `run(arguments)` its exit status.
COMMANDS = ("pretrain", "evaluate", "export", "convert", "report")

# Exit statuses.
BAD_INPUT = 2
STOPPED = 75  # EX_TEMPFAIL of sysexits.h: the command can be repeated.
INTERRUPTED = 130
CLOSED_PIPE = 141  # As a shell reports SIGPIPE.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The command and its flags. Defaults to those of the process.

    Returns:
        The exit status.
    """
    _configure_logging()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except (UsageError, absl_flags.Error) as error:
        print(f"bt-keras: error: {one_line(error, None)}", file=sys.stderr)
        return BAD_INPUT
    except StoppedError as error:
        print(f"bt-keras: {error}", file=sys.stderr)
        return STOPPED
    except KeyboardInterrupt:
        print("bt-keras: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return CLOSED_PIPE
    return status or 0


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
        print(flags.manual(name, command.__doc__ or "", command.define_flags()))
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


def _discard_stdout() -> None:
    """Keeps the interpreter from writing to a closed pipe when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _configure_logging() -> None:
    """Prints our warnings without absl's prefix, and hides those of TFDS."""
    absl_flags.FLAGS.mark_as_parsed()
    logging.use_absl_handler()
    logging.set_verbosity(logging.WARNING)
    logging.get_absl_handler().addFilter(_is_not_from_tfds)


def _is_not_from_tfds(record: std_logging.LogRecord) -> bool:
    return "tensorflow_datasets" not in record.pathname
