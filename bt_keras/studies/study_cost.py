"""What a study would cost, from plans of its runs; trains nothing."""

from __future__ import annotations

from bt_keras.plan import describe, plan
from bt_keras.plan.formatting import quantity
from bt_keras.studies.scales import Scale, configs
from bt_keras.studies.study import Study
from bt_keras.studies.study_table import markdown_table

# The paper's run: 1000 epochs in 124 hours on 32 V100 (its section 2.2).
_V100_HOURS_PER_EPOCH = 124 * 32 / 1000
_NOTE = (
    "Operations are those of all passes through backbone and projector, and of Barlow "
    "Twins' loss; other losses and predictors are left out. The hours are the paper's "
    "(124 for 1000 epochs on 32 V100), scaled by epochs and operations. Nothing was "
    "trained."
)


def study_cost(study: Study, scale: Scale, seeds: int) -> str:
    """Describes the plan of a study's baseline, and the operations of all its runs.

    Args:
        study: `Study`.
        scale: `Scale`.
        seeds: Integer > 0.

    Returns:
        String: the plan, a table with the operations of each variant, and their sum.

    Raises:
        UsageError: If the number of images is not known.
    """
    recipe = scale.recipe()
    base = plan(recipe)
    whole = base.flops * base.steps
    hours = _V100_HOURS_PER_EPOCH * recipe.epochs
    known = {_key(recipe): whole}
    rows, total = [], 0
    for name, config in configs(study, scale, seed=0):
        operations = _operations(config, known)
        total += operations * seeds
        rows.append(
            (
                name.partition("-")[2],
                quantity(operations, "FLOP"),
                f"{hours * operations / whole:,.0f}",
            )
        )
    table = markdown_table(("variant", "operations of a run", "V100 hours"), rows)
    sums = (
        f"{seeds} seeds of {len(rows)} variants: {quantity(total, 'FLOP')}, "
        f"{hours * total / whole:,.0f} V100 hours."
    )
    head = f"# {study.title}: {scale.title}"
    return "\n\n".join([head, describe(base), table, f"{sums} {_NOTE}"]) + "\n"


def _key(config):
    """Returns the fields that change the operations."""
    return config.batch_size, config.projector, config.method.name


def _operations(config, known):
    """Returns the operations of a run; `known` remembers those that cost the same."""
    if _key(config) not in known:
        planned = plan(config)
        known[_key(config)] = planned.flops * planned.steps
    return known[_key(config)]
