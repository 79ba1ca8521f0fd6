"""The probabilities and ranges of the two views, as constants."""

from __future__ import annotations

import dataclasses

from bt_keras import checks

HUE = checks.Number(0, 0.5)
# Pixels; the kernel of the blur grows with it.
SIGMA = checks.Number(0, 1e3)
# The ranges of parameters; all others are probabilities.
_NUMBERS = {
    "brightness": checks.NOT_NEGATIVE,
    "contrast": checks.NOT_NEGATIVE,
    "saturation": checks.NOT_NEGATIVE,
    "hue": HUE,
}
_INTERVALS = {
    "crop_scale": checks.POSITIVE,
    "crop_ratio": checks.POSITIVE,
    "sigma": SIGMA,
}


@dataclasses.dataclass(frozen=True)
class ViewRecipe:
    """Parameters of one view, in the order of its operations (paper, section 2.2).

    Attributes:
        crop_scale: Tuple of floats, the range of the crop's fraction of the image area.
            Defaults to `(0.08, 1.0)`.
        crop_ratio: Tuple of floats, the range of the crop's width divided by its
            height, log-uniform. Defaults to `(3 / 4, 4 / 3)`.
        flip: Float. Probability of a horizontal flip. Defaults to `0.5`.
        jitter: Float. Probability of color jitter. Defaults to `0.8`.
        brightness: Float. Factor in [1 - brightness, 1 + brightness]. Defaults to
            `0.4`.
        contrast: Float. Factor in [1 - contrast, 1 + contrast]. Defaults to `0.4`.
        saturation: Float. Factor in [1 - saturation, 1 + saturation]. Defaults to
            `0.2`.
        hue: Float. Shift in [-hue, hue] as a fraction of the color circle. Defaults to
            `0.1`.
        grayscale: Float. Probability of conversion to grayscale. Defaults to `0.2`.
        blur: Float. Probability of Gaussian blur. Defaults to `0.0`.
        sigma: Tuple of floats, the range of the blur's standard deviation in pixels,
            uniform. Defaults to `(0.1, 2.0)`.
        solarize: Float. Probability of inverting all levels of 128 or more. Defaults
            to `0.0`.

    Raises:
        UsageError: If a value is not a number, NaN, infinite or out of range.
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grayscale: float = 0.2
    blur: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)
    solarize: float = 0.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in _INTERVALS:
                checks.interval(name, value, _INTERVALS[name])
            else:
                checks.number(name, value, _NUMBERS.get(name, checks.FRACTION))


RECIPES = {
    "imagenet": (ViewRecipe(blur=1.0), ViewRecipe(blur=0.1, solarize=0.2)),
    "small": (ViewRecipe(), ViewRecipe(solarize=0.2)),
}
