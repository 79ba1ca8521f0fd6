"""Training with labels, for comparison: a linear classifier on the features."""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.studies.methods.rows import mean_of_rows


@keras.saving.register_keras_serializable("bt_keras.studies")
class Supervised(BarlowTwins):
    """Trains backbone and classifier with the cross-entropy of the labels.

    The loss is the mean over both views and the batch of -log softmax(W f + b)[label].
    The classifier takes the place of the projector, whose widths are not used: the
    embeddings are the logits.

    Args:
        backbone: See `bt_keras.BarlowTwins`.
        projector: Widths, which are not used, or a `keras.Layer` from features to
            logits (N, num_classes).
        num_classes: Integer > 0, the number of classes.
        **kwargs: Arguments of `bt_keras.BarlowTwins`; `lambd` is not used.

    Example:

    >>> from bt_keras.studies.methods.supervised import Supervised
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = Supervised(backbone, (32, 32), num_classes=10)
    >>> model.project(np.zeros((2, 32, 32, 3), np.float32)).shape
    TensorShape([2, 10])
    """

    log_names = ("loss", "accuracy")
    needs_labels = True

    def __init__(
        self, backbone, projector=(), *args, num_classes: int | None = None, **kwargs
    ):
        num_classes = checks.number("num_classes", num_classes, checks.COUNT)
        if not isinstance(projector, keras.Layer):
            layers = [keras.layers.Dense(num_classes, name="logits")]
            projector = keras.Sequential(layers, name="classifier")
        super().__init__(backbone, projector, *args, **kwargs)
        if self.projector.output_shape[-1] != num_classes:
            raise UsageError(
                f"num_classes={num_classes} does not fit the projector, which returns "
                f"{self.projector.output_shape}."
            )
        self.num_classes = num_classes

    def batch_terms(self, views, labels, embeddings, training=True):
        if labels is None:
            raise UsageError(
                "Supervised needs labels: the dataset's elements must be ((view_a, "
                "view_b), label), as those of bt_keras.pairs(..., labels=True)."
            )
        labels = tf.cast(tf.reshape(labels, [-1]), tf.int64)
        logits = [tf.cast(z, tf.float32) for z in embeddings]
        losses = [
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels, each)
            for each in logits
        ]
        hits = [tf.equal(tf.argmax(each, axis=1), labels) for each in logits]
        return {
            "loss": mean_of_rows(sum(losses) / 2),
            "accuracy": mean_of_rows(sum(tf.cast(h, tf.float32) for h in hits) / 2),
        }

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}
