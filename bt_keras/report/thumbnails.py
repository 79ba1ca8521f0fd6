"""Small pictures of a source's images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bt_keras.data import Source
from bt_keras.evaluation.label_subsets import take_subset
from bt_keras.report.pictures import data_uri


def thumbnails(source: Source, positions: Iterable[int], side: int) -> dict[int, str]:
    """Reads and encodes some images of a source.

    Args:
        source: `bt_keras.data.Source`.
        positions: Integers, positions in file order; they may repeat.
        side: Integer > 0, as for `data_uri`.

    Returns:
        Dict from positions to data URIs.
    """
    ordered = np.unique(np.asarray(list(positions), np.int64))
    images = take_subset(source, ordered).dataset()
    return {
        int(position): data_uri(image.numpy(), side)
        for position, (image, _) in zip(ordered, images, strict=True)
    }
