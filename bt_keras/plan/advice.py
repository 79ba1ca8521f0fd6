"""What a user should know before paying for a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ml_collections import ConfigDict

from bt_keras.augmentation import recipes
from bt_keras.errors import listed
from bt_keras.plan.images import Images
from bt_keras.plan.memory import Memory
from bt_keras.plan.room import Room
from bt_keras.plan.step_cost import StepCost

# The largest floor of the loss without a warning, divided by the width.
_FLOOR = 0.1
# Views below this size in pixels are tiny; the blur of the paper is for 224.
_BLURRED_SIZE = 96
_WARMUP = 1 / 3  # The largest part of the training without a warning.
# Below these, a run with LARS at the paper's rates has hardly begun.
_LARS_STEPS, _LARS_RATE, _LARS_TRUST = 10_000, 0.2, 1e-3
_NORM_ROWS = 16
_SHOWN = 3  # Names of layers in a line.


def warnings(
    config: ConfigDict,
    images: Images,
    cost: StepCost,
    floor: float | None,
    replicas: int,
    room: Room | None,
) -> list[str]:
    """Lists what speaks against a run as it is planned.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        images: `Images`.
        cost: `StepCost`.
        floor: Float, the floor of the loss, or `None`.
        replicas: Integer > 0.
        room: `Room` for a replica, or `None` if it is not known.

    Returns:
        List of strings, a sentence each.
    """
    found = [
        *_of_batch(config, floor),
        *_of_views(config, images),
        *_of_schedule(config, images.count // config.batch_size),
        of_memory(config, cost.memory, replicas, room),
        of_left_out(cost.left_out),
    ]
    return list(filter(None, found))


def _of_batch(config: ConfigDict, floor: float | None) -> Iterator[str]:
    width = config.projector[-1]
    if floor is not None and floor > _FLOOR * width:
        yield (
            f"the batch of {config.batch_size} is small for embeddings of {width} "
            f"dimensions: the loss cannot fall below {floor / width:.0%} of D; raise "
            "config.batch_size, or lower config.lambd or the last of config.projector."
        )
    # Of all replicas: batch norm is synchronized.
    rows = config.batch_size // config.microbatches
    if config.microbatches > 1 and rows < _NORM_ROWS:
        yield (
            f"batch norm takes its statistics from micro-batches of {rows} images: "
            "lower config.microbatches."
        )


def _of_views(config: ConfigDict, images: Images) -> Iterator[str]:
    size = config.views.size
    changes = {name: {**config.views.get(name, {})} for name in "ab"}
    pair = recipes.resolve(
        config.views.recipe, **changes, channels=config.data.channels
    )
    sigmas = [recipe.sigma[1] for recipe in pair if recipe.blur]
    if size < _BLURRED_SIZE and sigmas:
        yield (
            f"views of {size} pixels are blurred: a standard deviation of up to "
            f"{max(sigmas)} pixels, made for views of 224, "
            'leaves little of them; set config.views.recipe="small".'
        )
    smallest = images.source and images.source.smallest_side
    if smallest and smallest < size:
        yield (
            f"the smallest image has {smallest} pixels on a side, and views have "
            f"{size}: enlarged pixels cost time and show nothing new, unless the "
            "network needs them for its first strides."
        )


def _of_schedule(config: ConfigDict, steps_per_epoch: int) -> Iterator[str]:
    settings, steps = config.optimizer, config.epochs * steps_per_epoch
    if settings.warmup_epochs > _WARMUP * config.epochs:
        yield (
            f"the learning rate rises for {settings.warmup_epochs:g} of "
            f"{config.epochs} epochs: lower config.optimizer.warmup_epochs."
        )
    trust = settings.options.get("trust_coefficient", _LARS_TRUST)
    slow = settings.learning_rate <= _LARS_RATE and trust <= _LARS_TRUST
    if settings.name == "lars" and slow and steps < _LARS_STEPS:
        yield (
            f"the paper's rates of LARS are for hundreds of thousands of steps, and "
            f"this run has {steps:,}: raise config.optimizer.learning_rate and "
            "config.optimizer.options.trust_coefficient, as configs/demo.py does."
        )


def of_memory(
    config: ConfigDict, memory: Memory, replicas: int, room: Room | None
) -> str:
    """Says what to do where a run does not fit into the memory of this machine.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        memory: `Memory` of a replica.
        replicas: Integer > 0.
        room: `Room` for a replica, or `None` if it is not known.

    Returns:
        A sentence, or "" if the run fits, or if it is not known.
    """
    if room is None or memory.total <= room.size:
        return ""
    rows = config.batch_size // replicas
    divisors = (k for k in range(2, rows // 2 + 1) if rows % k == 0)
    fits = (k for k in divisors if memory.with_microbatches(k) <= room.size)
    advice = "lower config.batch_size, config.projector or config.views.size."
    if config.microbatches == 1 and (k := next(fits, None)):
        advice = f"set config.microbatches={k}, or {advice}"
    return (
        f"a replica needs {memory.total / 1e9:,.1f} GB, and {room.name} has "
        f"{room.size / 1e9:,.1f} GB: {advice}"
    )


def of_left_out(layers: Sequence[str]) -> str:
    """Names what a plan does not count.

    Args:
        layers: Sequence of strings, names of layers.

    Returns:
        A sentence, or "" if there are none.

    Example:

    >>> from bt_keras.plan import advice
    >>> advice.of_left_out([])
    ''
    """
    if not layers:
        return ""
    return (
        "the plan lacks operations and activations that it cannot count, of "
        f"{listed(layers, _SHOWN)}: the run needs more time and memory."
    )
