"""The results of a study: means over seeds, and whether they agree with the paper."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

from bt_keras.evaluation.fine_tuning_summary import mean_and_deviation
from bt_keras.studies.queue import FINISHED, Outcome
from bt_keras.studies.study import Study, Variant

# From the names of accuracies to those of a run's values.
METRICS = {"linear": "linear_cached top1", "kNN": "knn top1"}
AGREES, DISAGREES, UNDECIDED = "agrees", "disagrees", "undecided"
# A difference of fewer standard errors is undecided.
_STANDARD_ERRORS = 2.0
_SEED = "seed"

Outcomes = Mapping[str, Outcome | None]


@dataclasses.dataclass(frozen=True)
class Difference:
    """A difference of two means.

    Args:
        value: Float.
        error: Float, its standard error, or `None` if one of the means is of a single
            value.
    """

    value: float
    error: float | None


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """An accuracy of a variant in percent, over its finished seeds.

    Args:
        mean: Float.
        deviation: Float, the standard deviation over seeds, or `None` for one seed.
        difference: `Difference` from the variant that it is compared with, or `None` if
            that is the same or has no result.
        direction: String: `"agrees"`, `"disagrees"` or `"undecided"`.
    """

    mean: float
    deviation: float | None
    difference: Difference | None
    direction: str


@dataclasses.dataclass(frozen=True)
class Row:
    """A variant beside the paper.

    Args:
        variant: `Variant`.
        reference: `Variant` that it is compared with.
        paper_difference: Float, the difference of the paper's figures, or `None`.
        finished: Integer, the number of finished seeds.
        planned: Integer, the number of seeds in the queue.
        accuracies: Dict from the keys of `METRICS` to `Accuracy`s; without those that
            no seed has.
    """

    variant: Variant
    reference: Variant
    paper_difference: float | None
    finished: int
    planned: int
    accuracies: Mapping[str, Accuracy]


def difference(ours: Iterable[float], reference: Iterable[float]) -> Difference | None:
    """Computes the difference of two means, and sqrt(s_v² / n_v + s_b² / n_b).

    Args:
        ours: Floats, one for each seed.
        reference: Floats, one for each seed.

    Returns:
        `Difference`, or `None` if one of them is empty.

    Example:

    >>> from bt_keras.studies.summary import difference
    >>> difference([2.0, 4.0], [1.0, 1.0])
    Difference(value=2.0, error=1.0)
    """
    both = [list(ours), list(reference)]
    if not all(both):
        return None
    (mean, deviation), (of_reference, other) = map(mean_and_deviation, both)
    error = None
    if deviation is not None and other is not None:
        error = math.sqrt(deviation**2 / len(both[0]) + other**2 / len(both[1]))
    return Difference(mean - of_reference, error)


def direction(ours: Difference | None, paper: float | None) -> str:
    """Judges whether a difference has the sign of the paper's.

    Args:
        ours: `Difference`, or `None`.
        paper: Float, the paper's difference, or `None`.

    Returns:
        `"agrees"` or `"disagrees"`; `"undecided"` without a difference of the paper, or
        if ours is at most two standard errors or is of a single seed.

    Example:

    >>> from bt_keras.studies.summary import Difference, direction
    >>> direction(Difference(-3.0, error=0.5), paper=-1.6)
    'agrees'
    """
    if ours is None or ours.error is None or not paper:
        return UNDECIDED
    # Also false for NaN.
    if not abs(ours.value) > _STANDARD_ERRORS * ours.error:
        return UNDECIDED
    return AGREES if (ours.value > 0) == (paper > 0) else DISAGREES


def summarize(study: Study, outcomes: Outcomes) -> list[Row]:
    """Compares the variants of a study with the paper.

    Args:
        study: `Study`.
        outcomes: Dict from the names of all its runs to their `Outcome`s, `None` for
            runs that have not ended.

    Returns:
        List of `Row`s, one for each variant with runs, in the order of the study.
    """
    seeds = {v.name: _seeds(v, outcomes) for v in study.variants}
    return [_row(study, v, seeds) for v in study.variants if seeds[v.name]]


def missing(study: Study, outcomes: Outcomes) -> list[str]:
    """Names the seeds of each variant that have no result.

    Args:
        study: `Study`.
        outcomes: As for `summarize`.

    Returns:
        List of strings, such as `"both: seed 1 failed (out of memory), seed 2 has not
        finished"`.
    """
    lines = []
    for variant in study.variants:
        ends = [
            f"{_SEED} {seed} {_end(outcome)}"
            for seed, outcome in _seeds(variant, outcomes).items()
            if not _is_finished(outcome)
        ]
        if ends:
            lines.append(f"{variant.name}: {', '.join(ends)}")
    return lines


def _seeds(variant, outcomes):
    """Returns the outcomes of a variant's runs by their seeds, see `run_name`."""
    found = {}
    for name, outcome in outcomes.items():
        seed, _, variant_name = name.partition("-")
        if variant_name == variant.name:
            found[int(seed.removeprefix(_SEED))] = outcome
    return dict(sorted(found.items()))


def _is_finished(outcome):
    return outcome is not None and outcome.status == FINISHED


def _end(outcome):
    return f"failed ({outcome.error})" if outcome else "has not finished"


def _row(study, variant, seeds):
    reference = study.reference(variant)
    paper = None
    if None not in (variant.paper, reference.paper):
        paper = variant.paper - reference.paper
    own, others = seeds[variant.name], seeds[reference.name]
    accuracies = {}
    for name, value in METRICS.items():
        ours, theirs = _percentages(own, value), _percentages(others, value)
        if ours:
            compared = difference(ours, theirs) if reference != variant else None
            verdict = direction(compared, paper)
            accuracies[name] = Accuracy(*mean_and_deviation(ours), compared, verdict)
    finished = sum(map(_is_finished, own.values()))
    paper = paper if reference != variant else None
    return Row(variant, reference, paper, finished, len(own), accuracies)


def _percentages(seeds, value):
    return [
        100 * outcome.values[value]
        for outcome in seeds.values()
        if _is_finished(outcome) and value in outcome.values
    ]
