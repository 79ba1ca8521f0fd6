"""Plan the run of a config: build its network, and train nothing."""

from __future__ import annotations

import dataclasses

import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import checks, losses, scores
from bt_keras.distribution import devices
from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.plan import advice, expected_loss, images, room, step_cost
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
        implementation: String, how the loss is computed: `"gram"` or `"correlation"`;
            `None` for the loss of another method, of which nothing is planned.
        memory: `Memory` of a replica.
        traffic: `Traffic` of a replica in a step.
        first_loss: Tuple of floats, the expected invariance and redundancy of
            independent views, or `None`.
        floor: Float, a lower bound of the loss, or `None`.
        flops: Integer, floating-point operations of a step, over all replicas.
        left_out: Tuple of strings, names of layers that `flops` and `memory` lack,
            because their sizes are known only in the run.
        warnings: List of strings.
        trial: `Trial`, or `None`.
    """

    config: ConfigDict
    replicas: int
    images: Images
    steps_per_epoch: int
    implementation: str | None
    memory: Memory
    traffic: Traffic
    first_loss: tuple[float, float] | None
    floor: float | None
    flops: int
    left_out: tuple[str, ...]
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
        replicas: Integer > 0, the replicas that share a batch. Defaults to `None`: the
            GPUs of this machine, or 1.
        trial: Boolean, whether to measure a few steps. Defaults to `False`.

    Returns:
        `Plan`.

    Raises:
        UsageError: If the config or an argument cannot be used, or the number of images
            is not known.

    Example:

    >>> import bt_keras.config
    >>> from bt_keras.plan import plan
    >>> planned = plan(bt_keras.config.load("demo"))
    >>> planned.steps, planned.implementation
    (468, 'gram')
    """
    if replicas is None:
        replicas = max(1, len(devices.gpus()))
    checks.number("replicas", replicas, checks.COUNT)
    setup.apply(config)
    found = images.find(config, num_images, replicas)
    model = setup.new_model(config, found.count // config.batch_size)
    available = room.of_replica()
    planned = _without_trial(config, model, found, replicas, available)
    if not trial:
        return planned
    too_large = advice.of_memory(config, planned.memory, replicas, available)
    # A GPU runs out of memory with an error, and XLA may need less than planned.
    if too_large and not devices.is_accelerated():
        raise UsageError(f"--trial: {too_large}")
    measured = trial_lib.run(model, config, config.batch_size // replicas, found)
    return dataclasses.replace(planned, trial=measured)


def _without_trial(config, model, found, replicas, available):
    batch, size, width = config.batch_size, config.views.size, config.projector[-1]
    rows = batch // replicas
    implementation = _implementation(model, batch, width)
    view = tf.TensorSpec((rows, size, size, config.data.channels))
    cost = step_cost.of_step(model, view, replicas, width, implementation)
    floor = first_loss = None
    if implementation:
        floor = scores.loss_floor(batch, width, config.lambd)
        first_loss = expected_loss.at_start(batch, width)
    return Plan(
        config=config,
        replicas=replicas,
        images=found,
        steps_per_epoch=found.count // batch,
        implementation=implementation,
        memory=cost.memory,
        traffic=traffic_lib.of_step(model, rows, width, implementation),
        first_loss=first_loss,
        floor=floor,
        flops=cost.flops,
        left_out=cost.left_out,
        warnings=advice.warnings(config, found, cost, floor, replicas, available),
    )


def _implementation(model, batch, width):
    """Returns how the loss is computed, or `None` for that of another method."""
    names = ("batch_terms", "loss_terms")
    if any(getattr(type(model), n) is not getattr(BarlowTwins, n) for n in names):
        return None
    if model.implementation != "auto":
        return model.implementation
    return losses.cheapest_implementation(batch, width)
