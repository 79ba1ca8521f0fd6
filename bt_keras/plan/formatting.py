"""Plans as text."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from bt_keras import optimizers
from bt_keras.plan.from_config import Plan

_WIDTH = 20
_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def describe(plan: Plan) -> str:
    """Formats a plan as lines of text.

    Args:
        plan: `Plan`.

    Returns:
        String.
    """
    rows = [*_training(plan), *_loss(plan), *_machine(plan), *_time(plan)]
    lines = [f"{name:{_WIDTH}}{text}".rstrip() for name, text in rows]
    return "\n".join([*lines, *(f"warning: {each}" for each in plan.warnings)])


def quantity(value: float, unit: str) -> str:
    """Formats a number with a prefix of SI and three digits.

    Args:
        value: Float >= 0.
        unit: String.

    Example:

    >>> from bt_keras.plan.formatting import quantity
    >>> quantity(1_234_567_890, "B")
    '1.23 GB'
    """
    for factor, prefix in _PREFIXES:
        digits = f"{value / factor:.3g}"
        if float(digits) >= 1:
            return f"{digits} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def _training(plan: Plan) -> Iterator[tuple[str, str]]:
    config, settings = plan.config, plan.config.optimizer
    yield "images", plan.images.described
    unused = plan.images.count % config.batch_size
    left = f", {unused} images of an epoch are left out" if unused else ""
    yield (
        "steps",
        f"{plan.steps:,}: {config.epochs} epochs of {plan.steps_per_epoch:,}, each of "
        f"{config.batch_size} pairs{left}",
    )
    schedule = optimizers.schedule(config, settings.learning_rate, plan.steps_per_epoch)
    yield "learning rate", f"{_scaled(plan, settings.learning_rate)}; {settings.name}"
    if settings.name == "lars":
        rate = settings.bias_learning_rate
        yield "", f"{_scaled(plan, rate)}, of biases and batch norm"
    yield (
        "",
        f"from 0 in {schedule.warmup_steps:,} steps, then by half a cosine down to "
        f"{schedule.floor:g} of the peak",
    )


def _scaled(plan: Plan, rate: float) -> str:
    """Formats the peak of a learning rate, and how it follows from the config's."""
    peak = optimizers.schedule(plan.config, rate, plan.steps_per_epoch).peak
    return f"{peak:.4g} = {rate:g} x {plan.config.batch_size} / 256"


def _loss(plan: Plan) -> Iterator[tuple[str, str]]:
    config = plan.config
    if plan.first_loss is None:
        yield "loss", f"of {config.method.name}: its start and floor are not known"
        return
    yield "loss", _implementation(plan)
    invariance, redundancy = plan.first_loss
    start = invariance + config.lambd * redundancy
    yield (
        "loss at the start",
        f"{start:,.4g} = {invariance:,.4g} + {config.lambd:g} x {redundancy:,.4g} for "
        "independent views; views of one image have less of the first and more of the "
        "second",
    )
    yield "floor of the loss", f"{plan.floor:,.4g}; no weights are below it"


def _implementation(plan: Plan) -> str:
    """Formats how the loss is computed, and why."""
    batch, width = plan.config.batch_size, plan.config.projector[-1]
    is_gram = plan.implementation == "gram"
    text = f"by {'N x N Gram matrices' if is_gram else 'the D x D cross-correlation'}"
    if plan.config.method.options.get("implementation", "auto") != "auto":
        return f"{text}, as config.method.options.implementation says"
    relation = "<" if is_gram else ">="
    return (
        f"{text}: N = {batch} {relation} 0.75 D = {0.75 * width:g}, fewer operations "
        "on any device"
    )


def _machine(plan: Plan) -> Iterator[tuple[str, str]]:
    memory, config = plan.memory, plan.config
    least = "at least " if plan.left_out else ""
    each = f"of each of {plan.replicas} replicas" if plan.replicas > 1 else "of the run"
    total = quantity(memory.total, "B")
    yield "memory", f"{least}{total} {each}, beside that of TensorFlow"
    whole = f" of 1 of {config.microbatches} micro-batches"
    parts = {
        "weights": memory.weights,
        "optimizer": memory.slots,
        "gradients": memory.gradients,
        "views": memory.views,
        f"activations{whole if config.microbatches > 1 else ''}": memory.activations,
        "gradients of activations": memory.passed_back,
        "loss": memory.loss,
        "or, after the backward pass, the update": memory.update,
    }
    for name, size in parts.items():
        yield "", f"{quantity(size, 'B'):>8}  {name}"
    checkpoint = quantity(memory.weights + memory.slots, "B")
    yield (
        "checkpoints",
        f"{checkpoint} each; the last {config.checkpoint.keep} are kept",
    )
    if plan.replicas > 1:
        sent = quantity(plan.traffic.bytes_sent(plan.replicas), "B")
        gradients = quantity(4 * plan.traffic.gradients, "B")
        yield (
            "exchange",
            f"{least}{sent} sent by each replica in a step, in rings; the gradients "
            f"are {gradients}",
        )
    yield (
        "operations",
        f"{least}{quantity(plan.flops, 'FLOP')} a step, "
        f"{quantity(plan.flops * plan.steps, 'FLOP')} in all",
    )


def _time(plan: Plan) -> Iterator[tuple[str, str]]:
    trial = plan.trial
    if trial is None:
        yield "time", "not measured: --trial runs a few steps"
        return
    total = datetime.timedelta(seconds=round(trial.seconds * plan.steps))
    without = ", without the exchange between replicas" if plan.replicas > 1 else ""
    yield (
        "time",
        f"{total} without evaluation: {trial.seconds:.3g} s for a step of {trial.rows} "
        f"pairs on this machine{without}",
    )
    views = "the run's images" if trial.of_images else "random views"
    text = f"{trial.waiting:.0%} of it waiting for {views}"
    if plan.replicas == 1:  # The loss of fewer images is another.
        text += f"; the first loss is {trial.first_loss:,.4g}"
    yield "", text
