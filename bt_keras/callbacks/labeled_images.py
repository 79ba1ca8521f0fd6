"""A set of labeled images whose features are computed after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bt_keras.callbacks import labels as labels_lib
from bt_keras.errors import UsageError

_BATCH = 256


class LabeledImages:
    """Images and labels that a callback received.

    Args:
        owner: String, the name of the callback, for messages.
        argument: String, the argument's name, for messages.
        data: `(images, labels)`, arrays, or a `tf.data.Dataset` of batches of them;
            `images` may be a nest of arrays, as the backbone takes it.

    Raises:
        UsageError: If it is anything else, or a dataset without end.

    Example:

    >>> from bt_keras.callbacks.labeled_images import LabeledImages
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> images, labels = np.zeros((5, 16, 16, 3)), np.arange(5)
    >>> images = LabeledImages("OnlineKNN", "bank", (images, labels))
    >>> features, labels = images.features(backbone)
    >>> features.shape, labels
    ((5, 64), array([0, 1, 2, 3, 4]))
    """

    def __init__(self, owner: str, argument: str, data: Any):
        self._owner = f"{owner}({argument}=...)"
        self._data = data
        self._backbone: keras.Layer | None = None
        self._compute: Callable | None = None
        if isinstance(data, tf.data.Dataset):
            self._check_dataset(data)
        else:
            self._check_arrays(data)

    def features(self, backbone: keras.Layer) -> tuple[np.ndarray, np.ndarray]:
        """Computes the features in inference mode.

        Args:
            backbone: `keras.Layer` from images to features (N, F), of any strategy. One
                device computes.

        Returns:
            Tuple of float32 features (N, F) and int64 labels (N,).
        """
        if self._backbone is not backbone:
            self._backbone, self._compute = backbone, _inference(backbone)
        features, labels = [], []
        for images, some in self._batches():
            features.append(self._compute(images).numpy())
            labels.append(labels_lib.as_integers(some, self._owner).numpy())
        if not labels:
            raise UsageError(f"{self._owner} has no images.")
        return np.concatenate(features), np.concatenate(labels)

    def _batches(self) -> Iterator[tuple]:
        if isinstance(self._data, tf.data.Dataset):
            yield from self._data
            return
        images, labels = self._data
        for start in range(0, len(labels), _BATCH):
            rows = slice(start, start + _BATCH)
            # Tensors: a function is traced anew for every array.
            batch = keras.tree.map_structure(
                lambda array, rows=rows: tf.convert_to_tensor(array[rows]), images
            )
            yield batch, labels[rows]

    def _check_dataset(self, dataset):
        spec = dataset.element_spec
        if not (isinstance(spec, tuple) and len(spec) == 2):
            raise UsageError(f"{self._owner} needs batches of (images, labels).")
        if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
            raise UsageError(f"{self._owner} must end: take(...) some batches.")

    def _check_arrays(self, data):
        if not (isinstance(data, (tuple, list)) and len(data) == 2):
            raise UsageError(
                f"{self._owner} must be (images, labels), or a tf.data.Dataset of "
                "batches of them."
            )
        images, labels = data
        if labels is None:
            raise UsageError(f"{self._owner} has no labels.")
        shapes = [tuple(np.shape(array)) for array in keras.tree.flatten(images)]
        if not all(shapes):
            raise UsageError(f"{self._owner} needs arrays of images.")
        counts = {shape[0] for shape in shapes}
        if counts != {len(labels_lib.as_integers(labels, self._owner))}:
            raise UsageError(
                f"{self._owner} has {len(labels)} labels for "
                f"{', '.join(map(str, sorted(counts)))} images."
            )


def _inference(backbone):
    @tf.function(reduce_retracing=True)
    def compute(images):
        return tf.cast(backbone(images, training=False), tf.float32)

    return compute
