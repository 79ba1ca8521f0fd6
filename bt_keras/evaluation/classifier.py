"""A backbone and a linear layer that are trained together."""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras.evaluation.linear_layer import accuracies, linear_layer
from bt_keras.progress_bar import FitProgress

# The learning rate is multiplied by 0.2 after 60 % and after 80 % of the steps, which
# are epochs 12 and 16 of the paper's 20.
_DROPS = (0.6, 0.8)
_DROP_FACTOR = 0.2


class Classifier:
    """A network that is compiled once and can be trained several times.

    The optimizer is SGD with momentum, without Nesterov momentum and weight decay;
    batch normalization is in training mode.

    Args:
        backbone: `keras.Model` from normalized images (N, H, W, 3) to features (N, F).
            A copy of it is trained.
        num_classes: Integer.
        momentum: Float in [0, 1). Defaults to `0.9`.

    Attributes:
        backbone: The copy.
        head: The linear layer.

    Example:

    >>> from bt_keras.evaluation.classifier import Classifier
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> classifier = Classifier(backbone, num_classes=10)
    >>> classifier.reset(seed=0, pretrained=True)
    >>> images, labels = np.zeros((8, 28, 28, 3), "float32"), np.arange(8)
    >>> batches = tf.data.Dataset.from_tensors((images, labels))
    >>> classifier.train(batches.repeat(), steps=1, rate=0.5, backbone_rate=0.002)
    >>> sorted(classifier.test(batches))
    ['top1', 'top5']
    """

    def __init__(self, backbone: keras.Model, num_classes: int, momentum: float = 0.9):
        self._pretrained = backbone
        self.backbone = _copy(backbone)
        self.head = linear_layer(num_classes)
        self._ratio = tf.Variable(1.0, trainable=False)
        scaled = keras.layers.Lambda(_scale_gradient(self._ratio), dtype="float32")
        self._network = keras.Sequential([self.backbone, scaled, self.head])
        optimizer = keras.optimizers.SGD(1.0, momentum)
        if any(layer.compute_dtype == "float16" for layer in backbone.layers):
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self._network.compile(
            optimizer,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=accuracies(),
            auto_scale_loss=False,
            jit_compile=False,
        )
        optimizer.build(self._network.trainable_variables)
        self._initial_optimizer_state = [v.numpy() for v in optimizer.variables]

    def reset(self, seed: int, pretrained: bool) -> None:
        """Resets the weights and the optimizer to their state before the first step.

        Args:
            seed: Integer. Seeds all fresh weights.
            pretrained: Boolean, whether the backbone gets the weights of the original
                or fresh ones.
        """
        keras.utils.set_random_seed(seed)
        backbone_weights, head_weights = self._initial_weights(pretrained)
        self.backbone.set_weights(backbone_weights)
        self.head.set_weights(head_weights)
        optimizer = self._network.optimizer
        for variable, value in zip(
            optimizer.variables, self._initial_optimizer_state, strict=True
        ):
            variable.assign(value)

    def train(
        self,
        batches: tf.data.Dataset,
        steps: int,
        rate: float,
        backbone_rate: float,
    ) -> None:
        """Trains; both rates are multiplied by 0.2 after 60 % and 80 % of the steps.

        Args:
            batches: Endless `tf.data.Dataset` of (images, labels).
            steps: Integer > 0.
            rate: Float > 0, learning rate of the linear layer.
            backbone_rate: Float > 0, learning rate of the backbone.
        """
        self._ratio.assign(backbone_rate / rate)

        def set_rate(step, logs=None):
            self._network.optimizer.learning_rate = rate * rate_factor(step, steps)

        self._network.fit(
            batches,
            steps_per_epoch=steps,
            callbacks=[
                keras.callbacks.LambdaCallback(on_train_batch_begin=set_rate),
                FitProgress("fine-tuning"),
            ],
            shuffle=False,
            verbose=0,
        )

    def test(self, batches: tf.data.Dataset) -> dict[str, float]:
        """Returns the accuracies `"top1"` and `"top5"`, fractions in [0, 1].

        Args:
            batches: `tf.data.Dataset` of (images, labels).
        """
        scores = self._network.evaluate(
            batches,
            callbacks=[FitProgress("test of the classifier")],
            return_dict=True,
            verbose=0,
        )
        return {name: scores[name] for name in ("top1", "top5")}

    def _initial_weights(self, pretrained):
        """Returns the initial weights of the backbone and of the head."""
        # Fresh weights are always drawn, so that the head's weights do not depend on
        # `pretrained`.
        fresh = _copy(self._pretrained)
        source = self._pretrained if pretrained else fresh
        head = linear_layer(self.head.units)
        head.build((None, self.head.kernel.shape[0]))
        return source.get_weights(), head.get_weights()


def rate_factor(step: int, steps: int) -> float:
    """Returns the factor that the learning rates are multiplied by in a step.

    Args:
        step: Integer, counted from 0.
        steps: Integer > 0, number of all steps.

    Example:

    >>> from bt_keras.evaluation.classifier import rate_factor
    >>> [round(rate_factor(step, 10), 3) for step in (0, 6, 8)]
    [1.0, 0.2, 0.04]
    """
    return _DROP_FACTOR ** sum(step >= round(drop * steps) for drop in _DROPS)


def _copy(backbone):
    """Returns a trainable copy with fresh weights."""
    copy = keras.models.clone_model(backbone)
    copy.trainable = True
    return copy


def _scale_gradient(ratio):
    """Returns the identity function with its gradient multiplied by `ratio`.

    SGD is linear in the gradient, so the layers before this function are trained with
    exactly `ratio` times the optimizer's learning rate.
    """

    @tf.custom_gradient
    def scaled(features):
        features = tf.cast(features, tf.float32)

        def grad(upstream, variables=None):
            return ratio * upstream

        return tf.identity(features), grad

    return scaled
