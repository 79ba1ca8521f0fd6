"""Subsets of labeled images that were published, for comparisons with the paper."""

from __future__ import annotations

import re

from bt_keras.data import Source, load
from bt_keras.errors import UsageError

_IMAGENET = re.compile(r"tfds:imagenet2012(:[\d.*]+)?")
# The 12,811 and 128,116 images of SimCLR's authors, as configurations of the data set
# `imagenet2012_subset` of TFDS.
_CONFIGURATIONS = {0.01: "1pct", 0.1: "10pct"}


def published_name(source: Source, share: float) -> str | None:
    """Returns the name of the published subset of a source.

    Args:
        source: `bt_keras.data.Source` of training images.
        share: Float in (0, 1), the share of the labels.

    Returns:
        String for `bt_keras.data.load`, `None` if there is no such subset.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.published_subsets import published_name
    >>> print(published_name(data.load("shipped"), 0.01))
    None
    """
    is_imagenet = _IMAGENET.fullmatch(source.name) and source.split == "train"
    if not is_imagenet or share not in _CONFIGURATIONS:
        return None
    return f"tfds:imagenet2012_subset/{_CONFIGURATIONS[share]}"


def load_published(source: Source, share: float) -> Source:
    """Loads the published subset of a source.

    Args:
        source: `bt_keras.data.Source` that has one.
        share: Float in (0, 1).

    Returns:
        `bt_keras.data.Source` with the same classes.

    Raises:
        UsageError: If it cannot be loaded, or has other classes.
    """
    name = published_name(source, share)
    subset = load(name, "train", channels=source.image_shape[2])
    if subset.class_names != source.class_names:
        raise UsageError(
            f"the classes of {name!r} are not those of {source.name!r}: set "
            "config.evaluation.semi.subsets to 'stratified' in the run's config.json."
        )
    return subset
