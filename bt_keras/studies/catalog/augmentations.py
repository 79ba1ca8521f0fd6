"""Augmentations left out one after the other (the paper's Figure 3)."""

from bt_keras.studies.study import Study, Variant


def _without(*fields):
    return {f"views.{view}.{field}": 0.0 for view in "ab" for field in fields}


def _blurs(config):
    """Returns whether any view is blurred."""
    default = float(config.views.recipe == "imagenet")
    return any(config.views[view].get("blur", default) > 0 for view in "ab")


AUGMENTATIONS = Study(
    name="augmentations",
    title="Removal of augmentations",
    source="Figure 3, which plots the variants without numbers; all have the flip",
    baseline="baseline",
    variants=(
        Variant("baseline", paper=71.4),
        Variant("no_grayscale", _without("grayscale")),
        Variant("no_color", _without("grayscale", "jitter")),
        # Without blur in the recipe, it is the same as crop.
        Variant(
            "crop_and_blur",
            _without("grayscale", "jitter", "solarize"),
            applies=_blurs,
        ),
        Variant("crop", _without("grayscale", "jitter", "solarize", "blur")),
    ),
)
