"""Print what a run will do and need, without training it.

Prints the steps, the learning rates, the memory of a replica by part, the bytes that
replicas exchange, the loss to expect at the start and its lower bound, the
floating-point operations, and warnings. It builds and traces the network of the config;
only --trial runs training steps. Data sets that are not on this machine are not
downloaded: the number of training images of ImageNet, CIFAR-10, CIFAR-100 and STL-10 is
assumed, and --images sets any other.

Examples:

    bt-keras plan --config demo --trial
    bt-keras plan --config default --replicas=16
    bt-keras plan --config default --config.batch_size=256 --config.microbatches=4 \\
        --config.backbone.name=keras.applications.ConvNeXtTiny --images=50000
    bt-keras plan --workdir runs/demo
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import config_flags, config_manual, faults, flags, start

ADVICE = faults.Advice(
    memory="lower config.batch_size, config.projector or config.views.size, or raise "
    "config.microbatches"
)

manual_end = config_manual.text


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    config_flags.define_with_workdir(values, "a run whose config is planned")
    absl_flags.DEFINE_integer(
        "images",
        None,
        "Number of training images. The data set is then not read.",
        lower_bound=2,
        upper_bound=10**12,
        flag_values=values,
    )
    absl_flags.DEFINE_integer(
        "replicas",
        None,
        "Number of devices that share a batch, such as GPUs. Defaults to the GPUs of "
        "this machine, or 1.",
        lower_bound=1,
        upper_bound=10**6,
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "trial",
        False,
        "Run a few steps of one replica on this machine and measure their time, on the "
        "images if they are on this machine, otherwise on random views.",
        flag_values=values,
    )
    return values


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments, known_only=True)
    config = config_flags.resolve_one(values, arguments)
    start.tensorflow()

    from bt_keras.plan import describe, plan

    print(describe(plan(config, values.images, values.replicas, values.trial)))
