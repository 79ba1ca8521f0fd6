"""Mean and standard deviation of images, which normalization uses."""

from __future__ import annotations

from typing import Any, NamedTuple

from bt_keras import checks
from bt_keras.errors import UsageError


class Statistics(NamedTuple):
    """Mean and standard deviation of every band of images in [0, 1].

    Attributes:
        mean: Tuple of floats in [0, 1], one for each band.
        deviation: Tuple of floats > 0, one for each band.

    Example:

    >>> statistics = bt_keras.Statistics(mean=(0.3,), deviation=(0.2,))
    >>> bt_keras.views(32, "small", statistics).channels
    1
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def channels(self) -> int:
        """Number of bands."""
        return len(self.mean)


IMAGENET = Statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def check(value: Any) -> Statistics:
    """Checks an argument `statistics`.

    Args:
        value: The argument, a `Statistics` or another pair (mean, deviation).

    Returns:
        `Statistics`.

    Raises:
        UsageError: If it is anything else, has no or more than 16 bands, or a number is
            out of range.

    Example:

    >>> from bt_keras.augmentation import statistics
    >>> statistics.check(((0.5, 0.25), [0.2, 0.1]))
    Statistics(mean=(0.5, 0.25), deviation=(0.2, 0.1))
    """
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise UsageError(
            f"statistics={checks.described(value)} must be (mean, deviation), each a "
            "sequence with one number for each band."
        )
    mean = _numbers("mean", value[0], checks.FRACTION)
    deviation = _numbers("deviation", value[1], checks.POSITIVE)
    if len(mean) != len(deviation):
        raise UsageError(
            f"statistics has {len(mean)} numbers in its mean, but {len(deviation)} in "
            "its deviation: give one of each for each band."
        )
    checks.number("the number of bands of statistics", len(mean), checks.CHANNELS)
    return Statistics(mean, deviation)


def _numbers(name, values, kind):
    try:
        values = list(values)
    except TypeError:
        values = [values]
    return tuple(float(checks.number(f"{name} of statistics", v, kind)) for v in values)
