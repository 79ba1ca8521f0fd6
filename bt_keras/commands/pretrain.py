"""`bt-keras pretrain`."""

from absl import flags as absl_flags
from ml_collections import config_flags

from bt_keras import interruption, start
from bt_keras.commands import flags
from bt_keras.errors import UsageError


def run(arguments):
    """Trains, or goes on with a run."""
    with interruption.stopping_at_once():
        _pretrain_unless_stopped(arguments)


def _pretrain_unless_stopped(arguments):
    values = flags.new("workdir")
    absl_flags.DEFINE_string(
        "config",
        None,
        "A config file, or the name of one of this project's recipes; without it, "
        "the config that the workdir holds. --config.FIELD=VALUE changes a field.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "strategy",
        "auto",
        "auto (all workers of TF_CONFIG or SLURM, otherwise all GPUs, a TPU or the "
        "CPU), one, mirrored, multi_worker or tpu.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "on_nan",
        "stop",
        "When the loss is not finite: stop, or rollback (to the last checkpoint, then "
        "past those batches).",
        flag_values=values,
    )
    absl_flags.DEFINE_float(
        "join_timeout",
        300.0,
        "Seconds to wait for other workers.",
        lower_bound=0.0,
        upper_bound=1e6,
        flag_values=values,
    )
    flags.parse(values, arguments, known_only=True)
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
    overrides = absl_flags.FlagValues()
    # Only the flags of fields are left to parse; the others are read above.
    own = ("config", "workdir", "strategy", "on_nan", "join_timeout")
    rest = flags.without(arguments, own)
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=overrides, sys_argv=["bt-keras", *rest]
        )
    except (AttributeError, KeyError) as error:
        raise UsageError(f"--config.FIELD=VALUE: no such field: {error}") from error
    flags.parse(overrides, rest)
    return overrides.config
