"""Rankings of runs by a score, and how well they agree with an accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bt_keras.errors import UsageError

Values = Sequence[Mapping[str, float]]


def _of(name: str) -> Callable[[Values], np.ndarray]:
    return lambda runs: np.array([run[name] for run in runs], np.float64)


def _minus(score: Callable[[Values], np.ndarray]) -> Callable[[Values], np.ndarray]:
    return lambda runs: -score(runs)


def _near_one(runs: Values) -> np.ndarray:
    return -np.abs(_of("labelfree alpha_req features")(runs) - 1)


def _clid(runs: Values) -> np.ndarray:
    """Adds both parts, each divided by its standard deviation over the runs."""
    total = np.zeros(len(runs))
    for part in ("clid_learnability", "clid_dimension"):
        values = _of(f"labelfree {part} features")(runs)
        total += values / (values.std() or 1)
    return total


# From the name of each score to the function from runs to numbers that are high for
# good runs.
SCORES = {
    "rankme": _of("labelfree rankme embeddings"),
    "rankme_features": _of("labelfree rankme features"),
    "lidar": _of("labelfree lidar embeddings"),
    "alpha_req": _near_one,
    "clid": _clid,
    "clid_learnability": _of("labelfree clid_learnability features"),
    "clid_dimension": _of("labelfree clid_dimension features"),
    "loss": _minus(_of("labelfree loss embeddings")),
    "loss_over_floor": _minus(_of("labelfree loss_over_floor embeddings")),
}

# It chose best among runs with the same projector and lambda: docs/scores.md.
DEFAULT = "loss_over_floor"
# Fields of a config with which a score changes, whatever the features are worth, by the
# beginnings of their names.
_OF_THE_LOSS = ("lambd", "projector", "batch_size", "views.", "method.")
CHANGES_WITH = {
    "rankme": ("projector", "method."),
    "rankme_features": ("backbone.",),
    "lidar": ("projector", "views.", "method."),
    "loss": _OF_THE_LOSS,
    "loss_over_floor": _OF_THE_LOSS,
}


def goodness(score: str, runs: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    """Computes numbers that are high for the runs that a score prefers.

    Args:
        score: String, a key of `SCORES`.
        runs: Dict from the names of runs to their values, see
            `bt_keras.studies.run_values`.

    Returns:
        float64 array, in the order of the runs. CLID depends on all runs.

    Raises:
        UsageError: If a run does not have the score.

    Example:

    >>> from bt_keras.studies.ranking import goodness
    >>> name = "labelfree alpha_req features"
    >>> runs = {"a": {name: 0.5}, "b": {name: 1.25}}
    >>> goodness("alpha_req", runs)
    array([-0.5 , -0.25])
    """
    for name, values in runs.items():
        try:
            SCORES[score]([values])
        except KeyError as error:
            raise UsageError(
                f"{name} has no result {error.args[0]!r}, which {score!r} needs: run "
                "`bt-keras evaluate --protocol=labelfree` with its --workdir."
            ) from error
    return SCORES[score](list(runs.values()))


def kendall_tau(first: np.ndarray, second: np.ndarray) -> float:
    """Computes Kendall's tau-b, the rank correlation with ties.

    (concordant - discordant pairs) / sqrt(pairs not tied in `first` * not in `second`).

    Args:
        first: Array (N,) of numbers.
        second: Array (N,) of numbers.

    Returns:
        Float in [-1, 1]; NaN if all values of one of them are equal.

    Example:

    >>> from bt_keras.studies.ranking import kendall_tau
    >>> round(kendall_tau(np.array([1, 2, 3]), np.array([10, 30, 20])), 3)
    0.333
    """
    above = np.triu_indices(len(first), k=1)
    signs = [
        np.sign(np.subtract.outer(values, values)[above])
        for values in (_finite(first), _finite(second))
    ]
    untied = np.sqrt(np.prod([np.abs(sign).sum() for sign in signs]))
    return float((signs[0] * signs[1]).sum() / untied) if untied else float("nan")


def _finite(values):
    """Replaces infinities, whose differences are NaN, by numbers beyond all others."""
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    return np.nan_to_num(values, nan=np.nan, posinf=high + 1, neginf=low - 1)


def regret(score: np.ndarray, accuracy: np.ndarray) -> float:
    """Returns the best accuracy minus that of the run with the highest score.

    Of several runs with the highest score, their mean accuracy counts.

    Args:
        score: Array (N,) of numbers.
        accuracy: Array (N,) of numbers.

    Example:

    >>> from bt_keras.studies.ranking import regret
    >>> round(regret(np.array([3, 9, 1]), np.array([0.8, 0.7, 0.2])), 3)
    0.1
    """
    score = np.asarray(score)
    return float(np.max(accuracy) - np.mean(np.asarray(accuracy)[score == score.max()]))


def agreement(
    runs: Mapping[str, Mapping[str, float]], accuracy: str = "linear_cached top1"
) -> list[tuple[str, float, float, float]]:
    """Compares the ranking of each score with that by an accuracy.

    Args:
        runs: Dict from the names of runs to their values, as for `goodness`.
        accuracy: String, the name of the value to compare with. Defaults to
            `"linear_cached top1"`.

    Returns:
        List of `(score, tau, p, regret)` for each of `SCORES`: Kendall's tau, the
        probability of a tau that is as far from 0 if ranks are random (by the normal
        approximation), and the regret of the run that the score prefers.

    Raises:
        UsageError: If there are fewer than three runs, or one does not have a score, or
            not this accuracy.
    """
    if len(runs) < 3:
        raise UsageError("the agreement of rankings needs at least three runs.")
    for name, values in runs.items():
        if accuracy not in values:
            raise UsageError(f"{name} has no result {accuracy!r}: evaluate it.")
    measured = np.array([values[accuracy] for values in runs.values()])
    count = len(measured)
    deviation = math.sqrt(2 * (2 * count + 5) / (9 * count * (count - 1)))
    rows = []
    for score in SCORES:
        good = goodness(score, runs)
        tau = kendall_tau(good, measured)
        p = math.erfc(abs(tau) / deviation / math.sqrt(2))
        rows.append((score, tau, p, regret(good, measured)))
    return rows
