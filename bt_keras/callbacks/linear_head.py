"""A linear classifier that is trained on the features of every step of `fit`."""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras.callbacks import labels as labels_lib
from bt_keras.distribution import collectives
from bt_keras.model.nonfinite_guard import replace_unless
from bt_keras.model.observers import Observer, StepView
from bt_keras.model.replicated_mean import ReplicatedMean
from bt_keras.networks import feature_dim


class LinearHead(Observer):
    """A linear layer on the features of both views, trained with Adam.

    Its loss is the mean cross-entropy of all views of the global batch. Its gradients
    are summed over the replicas, and stop at the features. It logs the share of views
    that it classifies correctly before it is updated; NaN if a label is out of range,
    because XLA removes assertions.

    Args:
        name: String, see `Observer`. The metric is `"{name}_top1"`.
        num_classes: Integer > 1.
        learning_rate: Float > 0, of Adam.
        owner: String, the name of the callback, for messages.
        in_evaluate: Boolean, whether to classify the views of `evaluate`, too, if they
            have labels.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        learning_rate: float,
        owner: str,
        in_evaluate: bool,
    ):
        super().__init__(name)
        self.metric = f"{name}_top1"
        self._num_classes = num_classes
        self._rate = learning_rate
        self._owner = owner
        self._in_evaluate = in_evaluate

    def build(self, model: keras.Model) -> None:
        """Creates the layer, with weights 0, and its optimizer."""
        # Names and weights that are given: Keras counts those of others, and draws them
        # from the generator of the model.
        self.layer = keras.layers.Dense(
            self._num_classes,
            kernel_initializer="zeros",
            dtype="float32",
            name=f"{self.name}_head",
        )
        self.layer.build((None, feature_dim(model.backbone)))
        self.optimizer = keras.optimizers.Adam(self._rate, name=f"{self.name}_adam")
        self.optimizer.build(self.layer.trainable_variables)
        self.variables = [*self.layer.variables, *self.optimizer.variables]
        self.metrics = [ReplicatedMean(name=self.metric)]

    def observe(self, step: StepView) -> dict[str, tf.Tensor]:
        """Classifies the views and trains the layer, see `Observer.observe`."""
        features, labels = self._examples(step)
        in_range = self._in_range(labels)
        # TensorFlow's loss raises an error, on some devices, for other labels.
        known = tf.where(in_range, labels, 0)
        weights = self.layer.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.layer(features)
            loss = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="sum"
            )(known, logits)
        gradients = tape.gradient(loss, weights)
        hits, rows, bad = _global_counts(logits, labels, in_range)
        # Non-finite features give a non-finite loss.
        valid = tf.logical_and(tf.math.is_finite(step.logs["loss"]), bad == 0)
        gradients = [gradient / rows for gradient in gradients]
        self.optimizer.apply(replace_unless(valid, gradients, 0.0), weights)
        return {self.metric: _accuracy(hits, rows, bad)}

    def observe_test(self, step: StepView) -> dict[str, tf.Tensor]:
        """Classifies the views of `evaluate`, see `Observer.observe_test`."""
        if not self._in_evaluate or step.labels is None:
            return {}
        features, labels = self._examples(step)
        in_range = self._in_range(labels)
        counts = _global_counts(self.layer(features), labels, in_range)
        return {self.metric: _accuracy(*counts)}

    def classify(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the classes, an int64 tensor (n,), of features (n, F)."""
        return tf.argmax(self.layer(features), axis=-1)

    def _examples(self, step):
        """Returns the float32 features and the labels of both views."""
        labels = labels_lib.as_integers(step.labels, self._owner)
        features = tf.cast(tf.concat(step.features, axis=0), tf.float32)
        return features, tf.tile(labels, [2])

    def _in_range(self, labels):
        return tf.logical_and(labels >= 0, labels < self._num_classes)


def _global_counts(logits, labels, in_range):
    """Counts the hits, the views, and the labels out of range on all replicas."""
    counted = (
        tf.equal(tf.argmax(logits, axis=-1), labels),
        tf.ones_like(labels),
        tf.logical_not(in_range),
    )
    return collectives.all_reduce_sum(
        [tf.reduce_sum(tf.cast(each, tf.float32)) for each in counted]
    )


def _accuracy(hits, rows, bad):
    return tf.where(bad > 0, float("nan"), hits / rows)
