"""What is wrong with a run, in plain words: rules on the readings of a monitor.

Every rule is a function of `Reading` that returns a sentence, or `None`.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence

# Of 1/√F, the standard deviation of normalized features in random directions.
_COLLAPSED = 0.05
_DEAD = 0.25
# Of the lowest loss so far. Losses below _NOISE D rise by noise alone.
_RISEN, _NOISE = 2.0, 0.01
# Of C's diagonal and of the root mean square beside it.
_LOW_DIAGONAL, _HIGH_DIAGONAL, _HIGH_OFF_DIAGONAL = 0.2, 0.7, 0.5
# Of the term of the diagonal.
_SMALL_PART = 0.1
# Of 1/√N, the correlation of independent columns.
_UNCORRELATED = 2.0
# The diagonal that the loss of a small batch allows.
_LEAST_DIAGONAL = 2 / 3
# C is judged if, in so many readings, its distance from its aims has not fallen by this
# factor from the first half to the second.
SETTLED = 12
_BETTER = 0.95


@dataclasses.dataclass(frozen=True)
class Reading:
    """What the rules know of a training step.

    Args:
        batch: Integer, the rows N of the global batch.
        features: Integer, the width F of the features.
        width: Integer, the width D of the embeddings.
        lambd: Float >= 0, the weight of the redundancy term.
        learning_rate: Float.
        loss: Float, the loss of the step.
        lowest_loss: Float, the lowest loss of the readings before, infinite for none.
        floor: Float, the least loss for N, D and lambd.
        feature_std: Float, see `representation.feature_std`.
        dead_features: Float in [0, 1], the share of constant features.
        diagonal: Float in [-1, 1], the mean diagonal of C.
        off_diagonal: Float in [0, 1], the root mean square of C beside its diagonal.
        settled: Boolean, see `is_settled`. Defaults to `False`.
    """

    batch: int
    features: int
    width: int
    lambd: float
    learning_rate: float
    loss: float
    lowest_loss: float
    floor: float
    feature_std: float
    dead_features: float
    diagonal: float
    off_diagonal: float
    settled: bool = False


def collapse(reading: Reading) -> str | None:
    """Says that all images have nearly the same features."""
    usual = reading.features**-0.5
    if not reading.feature_std < _COLLAPSED * usual:
        return None
    return (
        f"The features collapse: all images get nearly the same ones. The standard "
        f"deviation of normalized features is {reading.feature_std:.2g}; features in "
        f"random directions have 1/√{reading.features} = {usual:.2g}. Lower the "
        "learning rate, and look at the views: the two of an image must differ, and "
        "those of different images, too."
    )


def dead_features(reading: Reading) -> str | None:
    """Says that many features, but not all, are the same for all images."""
    if not reading.dead_features > _DEAD or collapse(reading):
        return None
    return (
        f"{reading.dead_features:.0%} of the {reading.features} features are constant: "
        "they are the same for all images of the batch. Lower the learning rate, make "
        "the warm-up longer, or train a narrower backbone."
    )


def rate_too_high(reading: Reading) -> str | None:
    """Says that the loss rises."""
    if not math.isfinite(reading.lowest_loss):
        return None
    # A smaller batch has a higher floor.
    usual = max(reading.lowest_loss, reading.floor, _NOISE * reading.width)
    if reading.loss <= _RISEN * usual:  # Not if it is NaN.
        return None
    return (
        f"The loss is {reading.loss:.4g}; it was {reading.lowest_loss:.4g} before. The "
        f"learning rate, {reading.learning_rate:.2g}, is too high: take a third of it, "
        "or make the warm-up longer."
    )


def lambda_out_of_balance(reading: Reading) -> str | None:
    """Says that one aim is reached at the expense of the other.

    A lambda is not too large if the redundancy term is a small part of the loss. Per
    dimension, the terms are (1 - diagonal)² and λ (D - 1) off_diagonal².
    """
    if not reading.settled:
        return None
    noise = reading.batch**-0.5
    agrees = reading.diagonal > _HIGH_DIAGONAL
    if agrees and reading.off_diagonal > _HIGH_OFF_DIAGONAL:
        return (
            f"Embeddings repeat each other: the root mean square of C beside its "
            f"diagonal is {reading.off_diagonal:.2g}, where 0 is the aim. lambd="
            f"{reading.lambd:g} is too small: raise it."
        )
    is_clean = reading.off_diagonal < _UNCORRELATED * noise
    redundancy = reading.lambd * (reading.width - 1) * reading.off_diagonal**2
    has_weight = redundancy > _SMALL_PART * (1 - reading.diagonal) ** 2
    if has_weight and is_clean and reading.diagonal < _LOW_DIAGONAL:
        return (
            "The two views of an image hardly agree: the mean diagonal of C is "
            f"{reading.diagonal:.2g}, where 1 is the aim, and C beside it is as small "
            f"as that of noise, {reading.off_diagonal:.2g}. Look at the views: if they "
            f"show the same thing, lambd={reading.lambd:g} is too large: lower it."
        )
    return None


def batch_too_small(reading: Reading) -> str | None:
    """Says that the batch has too few images for the width of the embeddings."""
    best = 1 - reading.floor / reading.width
    if not best < _LEAST_DIAGONAL:
        return None
    return (
        f"A batch of {reading.batch} images is too small for embeddings of "
        f"{reading.width} dimensions and lambd={reading.lambd:g}: the loss cannot fall "
        f"below {reading.floor:.4g}, where the diagonal of C is {best:.2g} at best "
        "instead of 1. Take a larger batch, a narrower projector, or a smaller lambd."
    )


# Every rule, and in how many readings in succession it must hold.
RULES: dict[Callable[[Reading], str | None], int] = {
    collapse: 2,
    dead_features: 2,
    rate_too_high: 2,
    lambda_out_of_balance: 2,
    batch_too_small: 1,
}


def is_settled(readings: Sequence[Reading]) -> bool:
    """Returns whether the warm-up is over and C no longer gets closer to its aim.

    Args:
        readings: The last readings, from the oldest to the newest; at least `SETTLED`,
            or the answer is no.

    Example:

    >>> import types
    >>> from bt_keras.callbacks import rules
    >>> def reading(off_diagonal):
    ...     return types.SimpleNamespace(
    ...         learning_rate=0.1, diagonal=0.5, off_diagonal=off_diagonal
    ...     )
    >>> rules.is_settled([reading(0.7)] * 12)
    True
    >>> rules.is_settled([reading(0.9**n) for n in range(12)])
    False
    """
    if len(readings) < SETTLED:
        return False
    before, after = readings[: SETTLED // 2], readings[SETTLED // 2 :]

    def distances(half):
        off_diagonal = statistics.fmean(reading.off_diagonal for reading in half)
        return off_diagonal, 1 - statistics.fmean(reading.diagonal for reading in half)

    improved = any(
        now <= _BETTER * then
        for now, then in zip(distances(after), distances(before), strict=True)
    )
    return readings[-1].learning_rate <= readings[0].learning_rate and not improved


class Rules:
    """Applies all rules to successive readings; each speaks at most once.

    Example:

    >>> from bt_keras.callbacks import rules
    >>> reading = rules.Reading(
    ...     batch=8, features=4, width=64, lambd=0.1, learning_rate=0.1,
    ...     loss=40.0, lowest_loss=np.inf, floor=28.5, feature_std=0.4,
    ...     dead_features=0.0, diagonal=0.5, off_diagonal=0.1,
    ... )
    >>> once = rules.Rules()
    >>> [sentence.split(":")[0] for sentence in once(reading)]
    ['A batch of 8 images is too small for embeddings of 64 dimensions and lambd=0.1']
    >>> once(reading)
    []
    """

    def __init__(self):
        self._held = dict.fromkeys(RULES, 0)
        self._last: collections.deque[Reading] = collections.deque(maxlen=SETTLED)

    def __call__(self, reading: Reading) -> list[str]:
        """Returns the sentences of the rules that apply for the first time.

        Args:
            reading: `Reading`, the one after that of the last call; `settled` is
                computed here.
        """
        self._last.append(reading)
        settled = is_settled(list(self._last))
        reading = dataclasses.replace(reading, settled=settled)
        sentences = []
        for rule, patience in RULES.items():
            sentence = rule(reading)
            if self._held[rule] < patience:  # It has not spoken yet.
                self._held[rule] = self._held[rule] + 1 if sentence else 0
                if sentence and self._held[rule] == patience:
                    sentences.append(sentence)
        return sentences
