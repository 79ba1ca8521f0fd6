"""The fields of `bt_keras.ViewRecipe`, `config.views.a` and `config.views.b`."""

from __future__ import annotations

import difflib
from typing import Any

from bt_keras import checks
from bt_keras.errors import UsageError

_INTERVALS = {
    "crop_scale": checks.AREA,
    "crop_ratio": checks.POSITIVE,
    "sigma": checks.Number(0, 1e3),  # Pixels; the kernel of the blur grows with it.
}
_NUMBERS = {
    "flip": checks.FRACTION,
    "vertical_flip": checks.FRACTION,
    "rotate": checks.FRACTION,
    "jitter": checks.FRACTION,
    "brightness": checks.NOT_NEGATIVE,
    "contrast": checks.NOT_NEGATIVE,
    "saturation": checks.NOT_NEGATIVE,
    "hue": checks.Number(0, 0.5),
    "grayscale": checks.FRACTION,
    "blur": checks.FRACTION,
    "solarize": checks.FRACTION,
    "threshold": checks.Number(0, 256, integer=True),
}
# The fields of operations that need RGB images.
COLORS = ("saturation", "hue", "grayscale")
_RGB = 3


def check(name: str, value: Any, prefix: str = "") -> Any:
    """Checks a field of a view's recipe.

    Args:
        name: String, the field's name.
        value: The field's value.
        prefix: String before the name in messages, such as `"config.views.a."`.
            Defaults to `""`.

    Returns:
        The value, as a number of Python or a tuple of two.

    Raises:
        UsageError: If there is no such field, or the value has the wrong type or is out
            of range.

    Example:

    >>> from bt_keras.config import view_fields
    >>> view_fields.check("crop_scale", [0.2, 1])
    (0.2, 1)
    """
    if name in _INTERVALS:
        return checks.interval(f"{prefix}{name}", value, _INTERVALS[name])
    if name in _NUMBERS:
        return checks.number(f"{prefix}{name}", value, _NUMBERS[name])
    fields = [*_INTERVALS, *_NUMBERS]
    near = difflib.get_close_matches(str(name), fields)
    raise UsageError(
        f"{prefix}{name}: a view has no such field; "
        + (f"did you mean {' or '.join(near)}? " if near else "")
        + f"The fields are {', '.join(fields)}."
    )


def check_colors(name: str, value: Any, channels: int, prefix: str = "") -> None:
    """Checks that images have the colors that a field of a view's recipe changes.

    Args:
        name: String, the field's name.
        value: The field's value, as `check` accepts it.
        channels: Integer, the number of bands of the images.
        prefix: String before the name in messages. Defaults to `""`.

    Raises:
        UsageError: If the field needs RGB images, its value is not 0, and these are
            others.
    """
    if channels != _RGB and name in COLORS and value:
        raise UsageError(
            f"{prefix}{name}={checks.described(value)} needs RGB images, but "
            f"the number of bands is {channels}: leave it out."
        )
