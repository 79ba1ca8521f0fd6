"""The labeled images of fine-tuning, and the network that its trainings share."""

from __future__ import annotations

import functools

import numpy as np

from bt_keras.data import Source
from bt_keras.errors import UsageError
from bt_keras.evaluation.classifier import Classifier
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.label_subsets import balanced_subset, read_labels, take_subset
from bt_keras.evaluation.labeled_splits import hold_out

_HELD_OUT = 0.2


class LabeledImages:
    """The labels of the training images, subsets of them, and a network.

    Args:
        frozen: `FrozenBackbone`.
        momentum: Float in [0, 1), of the training.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.few_labels import LabeledImages
    >>> from bt_keras.evaluation.frozen_features import FrozenBackbone
    >>> source = data.load("shipped", "test")
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> frozen = FrozenBackbone(backbone, source, source, 28, 1.0, batch_size=64)
    >>> images = LabeledImages(frozen, momentum=0.9)
    >>> subset = images.stratified(0.1, seed=0)
    >>> rest, held_out = images.held_out(subset, seed=0)
    >>> subset.num_images, rest.num_images, held_out.num_images
    (200, 160, 40)
    """

    def __init__(self, frozen: FrozenBackbone, momentum: float):
        self.frozen = frozen
        self._momentum = momentum
        self._last: tuple[tuple[float, int], Source] | None = None

    @functools.cached_property
    def classifier(self) -> Classifier:
        """`Classifier`, one for all trainings: TensorFlow traces it once."""
        frozen = self.frozen
        return Classifier(frozen.backbone, frozen.num_classes, self._momentum)

    def stratified(self, share: float, seed: int) -> Source:
        """Draws the same share of every class, see `balanced_subset`.

        Args:
            share: Float in (0, 1].
            seed: Integer.
        """
        if self._last is None or self._last[0] != (share, seed):
            positions = balanced_subset(self._labels, share, seed)
            subset = take_subset(self.frozen.train_source, positions)
            self._last = (share, seed), subset
        return self._last[1]

    def held_out(self, subset: Source, seed: int) -> tuple[Source, Source]:
        """Divides a subset: four fifths to train on, a fifth to choose rates.

        Args:
            subset: `Source` with labels.
            seed: Integer.

        Returns:
            `(rest, held_out)`, two `Source`s.

        Raises:
            UsageError: If no class has two images.
        """
        if np.bincount(read_labels(subset)).max() < 2:
            raise UsageError(
                "rates=grid holds out a fifth of the labeled images, but "
                f"{subset.num_images} images of {subset.num_classes} classes have none "
                "to spare: take a larger share of the labels, or rates=paper."
            )
        return hold_out(subset, _HELD_OUT, seed)

    @functools.cached_property
    def _labels(self):
        return read_labels(self.frozen.train_source)
