"""Pretrain a network with Barlow Twins, or resume a run.

Trains the model that a config file describes and writes its config, logs, checkpoints
and a picture of sample views into a folder, the workdir. A run that was stopped resumes
from its newest checkpoint when the same command is repeated. With several workers,
start the same command on each of them.

The exit status is 0 at the end of training, 2 after an error to correct (invalid input,
a non-finite loss, a full disk), and 75 if the same command resumes the run: after a
signal, or after another worker failed. docs/resuming.md lists all statuses.

Examples:

    bt-keras pretrain --config demo --workdir runs/demo
    bt-keras pretrain --config demo --workdir runs/long --config.epochs=20
    bt-keras pretrain --config demo --workdir runs/demo --dry_run
    bt-keras pretrain --workdir runs/demo
    bt-keras pretrain --config default --workdir runs/mine --init_from=resnet50.pth \\
        --config.data.source=/path/to/images --config.epochs=50
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags
from ml_collections import ConfigDict

from bt_keras.cli import config_flags, config_manual, faults, flags, start

ADVICE = faults.Advice(
    memory="lower config.batch_size, config.projector or config.views.size, or raise "
    "config.microbatches",
    resumes=True,
)

manual_end = config_manual.text


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new("workdir")
    config_flags.define(values)
    absl_flags.DEFINE_string(
        "strategy",
        "auto",
        "How training is distributed.\n"
        "auto: over all workers of TF_CONFIG or SLURM; otherwise over all GPUs, a TPU "
        "or the CPU.\n"
        "one: the first GPU, or the CPU.\n"
        "mirrored: all GPUs of this machine.\n"
        "multi_worker: all GPUs of all workers of TF_CONFIG or SLURM.\n"
        "tpu: the TPU that TPU_NAME names, or this machine's.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "on_nan",
        "stop",
        "What to do when the loss or a gradient is non-finite.\n"
        "stop: end with an error that suggests fixes.\n"
        "rollback: restore the last checkpoint and skip the batches that led to it.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "allow_other_images",
        False,
        "Resume although the images are not those that the run began with.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "init_from",
        None,
        "Pretrained weights to start from instead of new ones: PyTorch weights (.pth, "
        ".pt, .ckpt, .torch, .safetensors or .npz), a .keras file, the folder of a run "
        "or a module, or the name of a published model. The backbone must fit the "
        "config; the projector is taken if it fits. A run that resumes does not need "
        "them again.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "dry_run",
        False,
        "Build the data, the model and the optimizer, read one batch, write views.png "
        "into the workdir, print what the run would train, and train nothing.",
        flag_values=values,
    )
    absl_flags.DEFINE_float(
        "join_timeout",
        300.0,
        "Seconds to wait for the other workers at the start.",
        lower_bound=0.0,
        upper_bound=1e6,
        flag_values=values,
    )
    return values


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments, known_only=True)

    from bt_keras.workdir import Workdir

    workdir = Workdir(values.workdir)
    # Before the command waits for TensorFlow and workers.
    config = config_flags.resolve(values, arguments)

    strategy = start.strategy(
        values.strategy,
        settings=lambda: _settings(config, values),
        timeout=values.join_timeout,
        start_check=lambda: workdir.check_start(config),
        num_threads=config.threads,
    )

    if values.dry_run:
        from bt_keras.training.dry_run import dry_run

        dry_run(config, values.workdir, strategy, values.init_from)
        return

    from bt_keras.training.pretrain import pretrain

    pretrain(
        config,
        values.workdir,
        strategy,
        values.on_nan,
        values.allow_other_images,
        values.init_from,
    )


def _settings(config: ConfigDict, values: absl_flags.FlagValues) -> dict:
    """Returns what must be equal on all workers."""
    from bt_keras import config as config_lib
    from bt_keras.checkpoint import store

    fields = {f"config.{f}": value for f, value in config_lib.fields(config).items()}
    versions = {f"version of {p}": v for p, v in store.versions().items()}
    names = ("on_nan", "allow_other_images", "dry_run", "init_from")
    own = {name: values[name].value for name in names}
    return {**own, **versions, **fields}
