"""`bt-keras pretrain`."""

from absl import flags as absl_flags

from bt_keras.cli import config_flags, flags, start
from bt_keras.distribution import stop_request


def run(arguments):
    """Trains, or goes on with a run."""
    with stop_request.stopping_at_once():
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

    from bt_keras import config as config_lib
    from bt_keras.workdir import Workdir

    config = (
        config_lib.load(values.config)
        if values.config
        else Workdir(values.workdir).config()
    )
    own = ("config", "workdir", "strategy", "on_nan", "join_timeout")
    config = config_flags.changed(config, arguments, own)
    config_lib.check(config)  # Before TensorFlow is waited for, and other workers.

    strategy = start.strategy(
        values.strategy,
        card=lambda: _card(config, values),
        timeout=values.join_timeout,
        check=lambda: Workdir(values.workdir).check_start(config),
    )

    from bt_keras.training.pretrain import pretrain

    pretrain(config, values.workdir, strategy, values.on_nan)


def _card(config, values):
    """What must be the same on all workers."""
    from bt_keras import config as config_lib
    from bt_keras.checkpoint import store

    fields = {f"config.{f}": value for f, value in config_lib.fields(config).items()}
    versions = {f"version of {p}": v for p, v in store.versions().items()}
    return {"on_nan": values.on_nan, **versions, **fields}
