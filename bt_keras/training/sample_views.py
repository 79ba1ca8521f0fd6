"""Pictures of view pairs, by which users check their images and recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from bt_keras.augmentation import finish_crops
from bt_keras.augmentation.pictures import view_grid
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.data import faults
from bt_keras.data.pairs import split_labels

_COUNT = 8  # pairs


class FirstPairs:
    """The first pairs of a run, made in threads of TensorFlow.

    Most of their time is the compilation of the views. They are those of the dataset
    that the run trains on, so that the run finds its views traced and compiled.

    Args:
        pairs: Function without arguments that returns the `tf.data.Dataset` of batches
            `(view_a, view_b)` from the first one on.
        find_fault: `find_fault` of the `Source` of the images.
        statistics: `Statistics` that the views were normalized with. Defaults to those
            of ImageNet.
    """

    def __init__(
        self,
        pairs: Callable[[], tf.data.Dataset],
        find_fault: Callable | None,
        statistics: Statistics = IMAGENET,
    ):
        self._pairs = pairs
        self._find_fault = find_fault
        self._statistics = statistics
        self._batches: Iterator | None = None
        self._picture: bytes | None = None

    def start(self) -> None:
        """Builds the dataset and starts its iterator.

        TensorFlow's threads then make the pairs.

        Raises:
            UsageError: If an image cannot be read.
        """
        with faults.named(self._find_fault):
            self._batches = iter(self._pairs())

    def picture(self) -> bytes:
        """Waits until the pairs are made, and draws them once.

        Returns:
            Bytes of a PNG file, the same in every call.

        Raises:
            UsageError: If an image cannot be read.
        """
        if self._picture is None:
            self._picture = self._draw()
        return self._picture

    def _draw(self):
        if self._batches is None:
            self.start()
        # The batches after the first are freed, also after an error.
        batches, self._batches = self._batches, None
        with faults.named(self._find_fault):
            batch = next(batches)
        return draw(batch, self._statistics)


def draw(
    batch: Sequence, statistics: Statistics = IMAGENET, count: int = _COUNT
) -> bytes:
    """Draws the first pairs of a batch, see `augmentation.pictures.view_grid`.

    Args:
        batch: `(view_a, view_b)`, float32 tensors (N, H, W, C) or `Crops`; or
            `((view_a, view_b), label)`.
        statistics: `Statistics` that the views were normalized with. Defaults to those
            of ImageNet.
        count: Integer > 0, the largest number of pairs. Defaults to `8`.

    Returns:
        Bytes of a PNG file.
    """
    views, _ = split_labels(finish_crops(batch))
    shown = [np.asarray(view[:count]) for view in views]
    return tf.io.encode_png(view_grid(shown, statistics)).numpy()
