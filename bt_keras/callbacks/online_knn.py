"""The callback that classifies images by their nearest neighbors after an epoch."""

from __future__ import annotations

import math
from typing import Any

import keras

from bt_keras import checks
from bt_keras.callbacks.attaching import check_model
from bt_keras.callbacks.labeled_images import LabeledImages
from bt_keras.errors import UsageError, shown
from bt_keras.evaluation.features import Features
from bt_keras.evaluation.knn import ranked_classes
from bt_keras.evaluation.neighbors import nearest


class OnlineKNN(keras.callbacks.Callback):
    """Logs the accuracy of a kNN classifier on the features, after every n-th epoch.

    The class of a query is voted for by its nearest images in the bank, as in
    `bt-keras evaluate --protocol=knn`. Nothing is trained, and the model is not
    changed. `fit` logs `knn_top1`, NaN after epochs that are not measured.

    Args:
        bank: `(images, labels)`, arrays, or a `tf.data.Dataset` of batches of them. The
            images are inputs of the backbone, for example center crops. Some thousands
            are enough to compare epochs.
        queries: The same, of other images.
        every: Integer > 0, the number of epochs from one measurement to the next.
            Defaults to `1`.
        k: Integer > 0, number of neighbors that vote, at most all images of the bank.
            Defaults to `200`.
        temperature: Float > 0, temperature of the vote. Defaults to `0.1`.
        name: String, in place of `knn` in the logs. Defaults to `"knn"`.

    Raises:
        UsageError: If an argument has the wrong type or is out of range; from `fit`,
            if the model is not a `bt_keras.BarlowTwins`, or a label is negative.

    Example:

    >>> source = bt_keras.data.load("shipped", "test")
    >>> images, labels = next(iter(source.dataset().batch(64)))
    >>> images = tf.cast(images, "float32") / 255
    >>> knn = bt_keras.callbacks.OnlineKNN(
    ...     (images[:48], labels[:48]), (images[48:], labels[48:]), k=5
    ... )
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = bt_keras.BarlowTwins(backbone, projector=(32, 32))
    >>> model.compile(optimizer=bt_keras.LARS(0.2))
    >>> history = model.fit(images, images, callbacks=[knn], verbose=0)
    >>> 0 <= history.history["knn_top1"][-1] <= 1
    True
    """

    def __init__(
        self,
        bank: Any,
        queries: Any,
        every: int = 1,
        k: int = 200,
        temperature: float = 0.1,
        name: str = "knn",
    ):
        super().__init__()
        owner = type(self).__name__
        self._bank = LabeledImages(owner, "bank", bank)
        self._queries = LabeledImages(owner, "queries", queries)
        self._every = checks.number("every", every, checks.COUNT)
        self._k = checks.number("k", k, checks.COUNT)
        self._temperature = checks.number("temperature", temperature, checks.POSITIVE)
        if not (isinstance(name, str) and name):
            raise UsageError(f"name={shown(name)} of {owner} must be a string.")
        self._metric = f"{name}_top1"

    def set_model(self, model):
        check_model(self, model)
        super().set_model(model)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            is_due = (epoch + 1) % self._every == 0
            # Every epoch has the same logs: those of the first are log.csv's columns.
            logs[self._metric] = self._top1() if is_due else math.nan

    def _top1(self) -> float:
        bank, queries = (
            Features(*images.features(self.model.backbone))
            for images in (self._bank, self._queries)
        )
        if min(bank.labels.min(), queries.labels.min()) < 0:
            raise UsageError(
                "OnlineKNN has a negative label: labels are the numbers of the "
                "classes, from 0."
            )
        num_classes = 1 + int(max(bank.labels.max(), queries.labels.max()))
        hits, first = 0, 0
        neighbors = nearest(queries, bank, min(self._k, len(bank.labels)))
        for similarities, positions in neighbors:
            labels = bank.labels[positions]
            ranked = ranked_classes(
                similarities, labels, num_classes, self._temperature
            )
            expected = queries.labels[first : first + len(ranked)]
            hits += int((ranked[:, 0] == expected).sum())
            first += len(ranked)
        return hits / first
