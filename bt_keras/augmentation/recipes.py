"""The probabilities and ranges of the two views, named or changed field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from bt_keras import checks
from bt_keras.config import view_fields
from bt_keras.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewRecipe:
    """Parameters of one view, in the order of its operations (paper, section 2.2).

    Attributes:
        crop_scale: Tuple of floats, the range of the crop's fraction of the image area.
            Defaults to `(0.08, 1.0)`.
        crop_ratio: Tuple of floats, the range of the crop's width divided by its
            height, log-uniform. Defaults to `(3 / 4, 4 / 3)`.
        flip: Float. Probability of a horizontal flip. Defaults to `0.5`.
        vertical_flip: Float. Probability of a vertical flip. Defaults to `0.0`.
        rotate: Float. Probability of a rotation by 90, 180 or 270 degrees, each
            equally likely; with 0.75, all four directions are. Defaults to `0.0`.
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
        solarize: Float. Probability of inverting all levels of at least `threshold`.
            Defaults to `0.0`.
        threshold: Integer in 0..256. The lowest level that is inverted. Defaults to
            `128`.

    Raises:
        UsageError: If a value has the wrong type, is not finite or is out of range.

    Example:

    >>> sky = bt_keras.ViewRecipe(crop_scale=(0.2, 1.0), vertical_flip=0.5, rotate=0.75)
    >>> make = bt_keras.views(64, a=sky, b={"rotate": 0.75})
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    vertical_flip: float = 0.0
    rotate: float = 0.0
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grayscale: float = 0.2
    blur: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)
    solarize: float = 0.0
    threshold: int = 128

    def __post_init__(self):
        for name, value in vars(self).items():
            # Lists, as in JSON, become tuples, so that recipes can be compared.
            object.__setattr__(self, name, view_fields.check(name, value))


RECIPES = {
    "imagenet": (ViewRecipe(blur=1.0), ViewRecipe(blur=0.1, solarize=0.2)),
    "small": (ViewRecipe(), ViewRecipe(solarize=0.2)),
}


def resolve(
    recipe: str,
    a: Mapping | ViewRecipe | None = None,
    b: Mapping | ViewRecipe | None = None,
    channels: int = 3,
) -> tuple[ViewRecipe, ViewRecipe]:
    """Returns both views' recipes: those of a name with some fields changed.

    Args:
        recipe: String, a key of `RECIPES`.
        a: Dict of the first view's fields that differ, or its `ViewRecipe`. Defaults to
            `None`, no difference.
        b: Same as `a`, for the second view.
        channels: Integer, the number of bands of the images. Defaults to `3`.

    Raises:
        UsageError: If there is no such recipe or field, a value has the wrong type or
            out of range, or a field needs RGB images.

    Example:

    >>> from bt_keras.augmentation import recipes
    >>> first, second = recipes.resolve("small", a={"flip": 0.0})
    >>> first.flip, second.flip
    (0.0, 0.5)
    """
    first, second = RECIPES[checks.choice("recipe", recipe, tuple(RECIPES))]
    for name, changes in (("a", a), ("b", b)):
        for field, value in changes.items() if isinstance(changes, Mapping) else ():
            view_fields.check_colors(field, value, channels, f"{name}.")
    return _changed(first, "a", a), _changed(second, "b", b)


def _changed(recipe, name, changes):
    if changes is None:
        return recipe
    if isinstance(changes, ViewRecipe):
        return changes
    if not isinstance(changes, Mapping):
        raise UsageError(
            f"{name}={checks.described(changes)} must be a dict of the fields that "
            "differ from the recipe, such as {'crop_scale': (0.2, 1.0)}, or a "
            "bt_keras.ViewRecipe."
        )
    for field, value in changes.items():
        view_fields.check(field, value, f"{name}.")
    return dataclasses.replace(recipe, **changes)
