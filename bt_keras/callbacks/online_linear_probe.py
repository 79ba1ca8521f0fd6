"""The callback that trains a linear classifier beside the model."""

from __future__ import annotations

import math

import keras

from bt_keras import checks
from bt_keras.callbacks import labels as labels_lib
from bt_keras.callbacks.attaching import check_model
from bt_keras.callbacks.labeled_images import LabeledImages
from bt_keras.callbacks.linear_head import LinearHead
from bt_keras.model.observers import check_name

_CLASSES = checks.Number(2, integer=True)


class OnlineLinearProbe(keras.callbacks.Callback):
    """Trains a linear classifier on the features of every step, and logs its accuracy.

    The data must have labels, such as those of `bt_keras.pairs(..., labels=True)`. The
    model does not learn from them: no gradient flows from the classifier into the
    model, whose weights are those of training without the callback. The classifier
    sees the features of both views in training mode. `fit` logs:

    - `probe_top1`: the accuracy on the views of the epoch, each measured before the
      classifier is trained on it;
    - `val_probe_top1`: the accuracy after the epoch, on `validation`, or else on the
      views of the `validation_data` of `fit` if these have labels.

    The accuracy follows the quality of the features during a run. It is lower than
    that of a classifier that is trained on the final features, see `bt-keras
    evaluate`. Continuing with another `fit` continues the classifier; the checkpoints
    of `bt-keras pretrain` contain it.

    Args:
        num_classes: Integer > 1.
        learning_rate: Float > 0, of Adam. Defaults to `3e-3`.
        validation: Optional `(images, labels)`, arrays, or a `tf.data.Dataset` of
            batches of them; the images are inputs of the backbone, for example center
            crops. Defaults to `None`.
        name: String of letters, digits, "_" and "-", in place of `probe` in the logs.
            Defaults to `"probe"`.

    Raises:
        UsageError: If an argument has the wrong type or is out of range; from `fit`,
            if the model is not a `bt_keras.BarlowTwins`, the data have no labels, or
            one is out of range.

    Example:

    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = bt_keras.BarlowTwins(backbone, projector=(32, 32))
    >>> model.compile(optimizer=bt_keras.LARS(0.2))
    >>> views = bt_keras.views(16, "small")
    >>> data = bt_keras.pairs("shipped", views, batch_size=64, labels=True)
    >>> probe = bt_keras.callbacks.OnlineLinearProbe(num_classes=10)
    >>> history = model.fit(data.take(2), callbacks=[probe], verbose=0)
    >>> 0 <= history.history["probe_top1"][-1] <= 1
    True
    """

    def __init__(
        self,
        num_classes: int,
        learning_rate: float = 3e-3,
        validation=None,
        name: str = "probe",
    ):
        super().__init__()
        owner = type(self).__name__
        self._num_classes = checks.number("num_classes", num_classes, _CLASSES)
        rate = checks.number("learning_rate", learning_rate, checks.POSITIVE)
        self._validation = None
        if validation is not None:
            self._validation = LabeledImages(owner, "validation", validation)
        check_name(name, owner)
        self.observer = LinearHead(
            name, self._num_classes, rate, owner, in_evaluate=validation is None
        )

    def set_model(self, model):
        check_model(self, model)
        super().set_model(model)
        model.observe(self.observer)

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs or {})

    def on_test_batch_end(self, batch, logs=None):
        self._check(logs or {})

    def on_epoch_end(self, epoch, logs=None):
        if self._validation is None or logs is None:
            return
        features, labels = self._validation.features(self.model.backbone)
        classes = self.observer.classify(features).numpy()
        if labels.min() < 0 or labels.max() >= self._num_classes:
            raise labels_lib.out_of_range(type(self).__name__, self._num_classes)
        logs[f"val_{self.observer.metric}"] = float((classes == labels).mean())

    def _check(self, logs):
        """Raises an error if the mean accuracy is NaN, see `LinearHead`."""
        if math.isnan(float(logs.get(self.observer.metric, 0.0))):
            raise labels_lib.out_of_range(type(self).__name__, self._num_classes)
