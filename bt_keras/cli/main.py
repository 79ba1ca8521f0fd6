"""`bt-keras COMMAND`: flags in, one line an error out.

bt-keras pretrain --config configs/cifar10.py --workdir runs/cifar10
bt-keras evaluate --workdir runs/cifar10
bt-keras export --workdir runs/cifar10 --out runs/cifar10/module
bt-keras convert --input resnet50.pth --output resnet50.keras
bt-keras report --workdir runs/cifar10
"""

import importlib
import sys

from absl import flags, logging

from bt_keras.errors import StoppedError, UsageError

# Each is the `run` of the module of this name in `bt_keras.cli`.
COMMANDS = ("pretrain", "evaluate", "export", "convert", "report")

# Exit statuses.
BAD_INPUT = 2
STOPPED = 75  # As sysexits.h has it for what can be tried again.
INTERRUPTED = 130


def main(argv=None):
    """Runs one command; returns the exit status."""
    _calm_logging()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        command = _command(arguments)
        status = command(arguments[1:])
    except (UsageError, flags.Error) as error:
        print(f"bt-keras: error: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except StoppedError as error:
        print(f"bt-keras: {error}", file=sys.stderr)
        return STOPPED
    except KeyboardInterrupt:
        print("bt-keras: interrupted", file=sys.stderr)
        return INTERRUPTED
    return status or 0


def _command(arguments):
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h", "help"):
        return _help
    if name not in COMMANDS:
        raise UsageError(
            f"there is no command {name!r}; the commands are {', '.join(COMMANDS)}."
        )
    return importlib.import_module(f"bt_keras.cli.{name}").run


def _help(_):
    print(__doc__)
    print("`bt-keras COMMAND --help` lists a command's flags.")


def _calm_logging():
    """Our warnings without absl's preamble, and not TFDS's about its own folders."""
    flags.FLAGS.mark_as_parsed()
    logging.use_absl_handler()
    logging.set_verbosity(logging.WARNING)
    logging.get_absl_handler().addFilter(_is_not_from_tfds)


def _is_not_from_tfds(record):
    return "tensorflow_datasets" not in record.pathname
