"""`bt-keras COMMAND`: flags in, one line an error out.

bt-keras pretrain --config configs/cifar10.py --workdir runs/cifar10
bt-keras evaluate --workdir runs/cifar10
bt-keras export --workdir runs/cifar10 --out runs/cifar10/module
bt-keras report --workdir runs/cifar10
"""

import sys

from absl import flags, logging
from ml_collections import config_flags

from bt_keras import interruption, start
from bt_keras.errors import StoppedError, UsageError

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
        command(arguments[1:])
    except (UsageError, flags.Error) as error:
        print(f"bt-keras: error: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except StoppedError as error:
        print(f"bt-keras: {error}", file=sys.stderr)
        return STOPPED
    except KeyboardInterrupt:
        print("bt-keras: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _command(arguments):
    commands = {
        "pretrain": _pretrain,
        "evaluate": _evaluate,
        "export": _export,
        "report": _report,
    }
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h", "help"):
        return _help
    if name not in commands:
        raise UsageError(
            f"there is no command {name!r}; the commands are {', '.join(commands)}."
        )
    return commands[name]


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


def _pretrain(arguments):
    with interruption.stopping_at_once():
        _pretrain_unless_stopped(arguments)


def _pretrain_unless_stopped(arguments):
    values = _flags("workdir")
    flags.DEFINE_string(
        "config",
        None,
        "A config file, or the name of one of this project's recipes; without it, "
        "the config that the workdir holds. --config.FIELD=VALUE changes a field.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "strategy",
        "auto",
        "auto (all workers of TF_CONFIG or SLURM, otherwise all GPUs, a TPU or the "
        "CPU), one, mirrored, multi_worker or tpu.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "on_nan",
        "stop",
        "When the loss is not finite: stop, or rollback (to the last checkpoint, then "
        "past those batches).",
        flag_values=values,
    )
    flags.DEFINE_float(
        "join_timeout",
        300.0,
        "Seconds to wait for other workers.",
        lower_bound=0.0,
        upper_bound=1e6,
        flag_values=values,
    )
    _parse(values, arguments, known_only=True)
    config = _configured(values, arguments)

    from bt_keras import config as config_lib
    from bt_keras.workdir import Workdir

    config_lib.check(config)  # Before TensorFlow is waited for, and other workers.

    strategy = start.strategy(
        values.strategy,
        card=lambda: _card(config, values),
        timeout=values.join_timeout,
        check=lambda: Workdir(values.workdir).check_start(config),
    )

    from bt_keras.pretrain import pretrain

    pretrain(config, values.workdir, strategy, values.on_nan)


def _card(config, values):
    """What must be the same on all workers."""
    from bt_keras import config as config_lib
    from bt_keras.checkpoint import files

    fields = {f"config.{f}": value for f, value in config_lib.fields(config).items()}
    versions = {f"version of {p}": v for p, v in files.versions().items()}
    return {"on_nan": values.on_nan, **versions, **fields}


def _configured(values, arguments):
    """The config that `--config` names, with the `--config.FIELD=VALUE` applied."""
    from bt_keras import config as config_lib
    from bt_keras.workdir import Workdir

    if values.config:
        config = config_lib.load(values.config)
    else:
        config = Workdir(values.workdir).config()
    overrides = flags.FlagValues()
    # Only the flags of fields are left to parse; the others are read above.
    own = ("config", "workdir", "strategy", "on_nan", "join_timeout")
    rest = _without(arguments, own)
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=overrides, sys_argv=["bt-keras", *rest]
        )
    except (AttributeError, KeyError) as error:
        raise UsageError(f"--config.FIELD=VALUE: no such field: {error}") from error
    _parse(overrides, rest)
    return overrides.config


def _evaluate(arguments):
    values = _flags("workdir")
    flags.DEFINE_bool(
        "untrained",
        False,
        "Evaluate the run's initial weights in place of its newest checkpoint.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "protocol",
        "cached",
        "The linear probe: cached (features of centre crops, computed once) or full "
        "(the paper's, with random crops).",
        flag_values=values,
    )
    flags.DEFINE_string(
        "source", None, "Labelled images other than the run's.", flag_values=values
    )
    flags.DEFINE_integer("k", None, "Neighbours that vote.", flag_values=values)
    flags.DEFINE_float("temperature", None, "Of their votes.", flag_values=values)
    _parse(values, arguments)
    start.tensorflow()

    from bt_keras.evaluate import evaluate
    from bt_keras.report import results_table
    from bt_keras.workdir import Workdir

    knn = {"k": values.k, "temperature": values.temperature}
    rows = evaluate(
        Workdir(values.workdir),
        untrained=values.untrained,
        protocol=values.protocol,
        source=values.source,
        knn={name: value for name, value in knn.items() if value is not None},
    )
    print(results_table(rows))


def _export(arguments):
    values = _flags("workdir")
    flags.DEFINE_string(
        "out", None, "Folder of the SavedModel; WORKDIR/module.", flag_values=values
    )
    _parse(values, arguments)
    start.tensorflow()

    from bt_keras.export import export
    from bt_keras.workdir import Workdir

    workdir = Workdir(values.workdir)
    folder, difference = export(workdir, values.out or workdir.module)
    print(f"{folder}: features differ by at most {difference:.2g} after reloading")


def _report(arguments):
    values = _flags("workdir")
    _parse(values, arguments)

    from bt_keras.report import report
    from bt_keras.workdir import Workdir

    workdir = Workdir(values.workdir)
    workdir.config()  # It says so if there is no run.
    print(report(workdir))


def _flags(*required):
    values = flags.FlagValues()
    for name in required:
        flags.DEFINE_string(name, None, "The folder of the run.", flag_values=values)
        flags.mark_flag_as_required(name, flag_values=values)
    flags.DEFINE_bool("help", False, "Show this.", short_name="h", flag_values=values)
    return values


def _parse(values, arguments, known_only=False):
    if {"--help", "-h"} & set(arguments):
        print(values.get_help())
        raise SystemExit(0)
    if "--" in arguments:
        raise UsageError(
            "'--' is not a flag, and what follows it would be passed over."
        )
    rest = values(["bt-keras", *arguments], known_only=known_only)[1:]
    if rest and not known_only:
        raise UsageError(f"{rest[0]!r} is not a flag.")
    return rest


def _without(arguments, names):
    """Takes `--name value` and `--name=value` out."""
    rest, skip = [], False
    for argument in arguments:
        name, equals, _ = argument.lstrip("-").partition("=")
        if skip:
            skip = False
        elif argument.startswith("-") and name in names:
            skip = not equals
        else:
            rest.append(argument)
    return rest


if __name__ == "__main__":
    sys.exit(main())
