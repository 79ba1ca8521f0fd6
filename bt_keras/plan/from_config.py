"""Plan the run of a config: build its network, and train nothing."""

from __future__ import annotations

import dataclasses

import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import losses, scores
from bt_keras.distribution import devices
from bt_keras.errors import UsageError
from bt_keras.plan import advice, expected_loss, images, step_cost
from bt_keras.plan import traffic as traffic_lib
from bt_keras.plan import trial as trial_lib
from bt_keras.plan.images import Images
from bt_keras.plan.memory import Memory
from bt_keras.plan.traffic import Traffic
from bt_keras.plan.trial import Trial
from bt_keras.training import setup


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run will do and need.

    Attributes:
        config: `ConfigDict` of the run.
        replicas: Integer, the replicas that share a batch.
        images: `Images`.
        steps_per_epoch: Integer.
        implementation: String, how the loss is computed: `"gram"` or `"correlation"`.
        memory: `Memory` of a replica.
        traffic: `Traffic` of a replica in a step.
        first_loss: Tuple of floats, the expected invariance and redundancy of
            independent views.
        floor: Float, a lower bound of the loss.
        flops: Integer, floating-point operations of a step, over all replicas.
        warnings: List of strings.
        trial: `Trial`, or `None`.
    """

    config: ConfigDict
    replicas: int
    images: Images
    steps_per_epoch: int
    implementation: str
    memory: Memory
    traffic: Traffic
    first_loss: tuple[float, float]
    floor: float
    flops: int
    warnings: list[str]
    trial: Trial | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.config.epochs * self.steps_per_epoch


def plan(
    config: ConfigDict,
    num_images: int | None = None,
    replicas: int | None = None,
    trial: bool = False,
) -> Plan:
    """Computes what the run of a config will do and need.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        num_images: Integer, the number of training images; then none is looked at.
            Defaults to `None`.
        replicas: Integer, the replicas that share a batch. Defaults to `None`: the
            GPUs of this machine, or 1.
        trial: Boolean, whether to measure a few steps. Defaults to `False`.

    Returns:
        `Plan`.

    Raises:
        UsageError: If the config cannot be used, or the number of images is not known.

    Example:

    >>> import bt_keras.config
    >>> from bt_keras.plan import plan
    >>> planned = plan(bt_keras.config.load("demo"))
    >>> planned.steps, planned.implementation
    (468, 'gram')
    """
    replicas = replicas or max(1, len(devices.gpus()))
    setup.apply(config)
    found = images.find(config, num_images, replicas)
    steps_per_epoch = found.count // config.batch_size
    model = setup.new_model(config, steps_per_epoch)
    rows, width = config.batch_size // replicas, config.projector[-1]
    implementation = losses.cheapest_implementation(config.batch_size, width)
    size = config.views.size
    view = tf.TensorSpec((rows, size, size, config.data.channels))
    cost = step_cost.of_step(model, view, replicas, width, implementation)
    floor = scores.loss_floor(config.batch_size, width, config.lambd)
    planned = Plan(
        config=config,
        replicas=replicas,
        images=found,
        steps_per_epoch=steps_per_epoch,
        implementation=implementation,
        memory=cost.memory,
        traffic=traffic_lib.of_step(model, rows, width, implementation),
        first_loss=expected_loss.at_start(config.batch_size, width),
        floor=floor,
        flops=cost.flops,
        warnings=advice.warnings(config, found, cost.memory, floor, replicas),
    )
    if not trial:
        return planned
    if too_large := advice.of_memory(config, cost.memory, replicas):
        raise UsageError(f"--trial: {too_large}")
    measured = trial_lib.run(model, config, rows, found)
    return dataclasses.replace(planned, trial=measured)
