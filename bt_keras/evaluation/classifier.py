"""A backbone and a linear layer on it, trained together from chosen weights."""

import keras
import tensorflow as tf

from bt_keras.evaluation.linear_probe import accuracies, linear_layer

# After 60 % and after 80 % of the steps (epochs 12 and 16 of 20 in the paper) the
# rate is multiplied by 0.2.
_DROPS = (0.6, 0.8)
_DROP_FACTOR = 0.2


class Classifier:
    """A network that is compiled once and trained as often as one likes.

    SGD with momentum, no Nesterov, no weight decay; batch norm in training mode.

    Args:
        backbone: `keras.Model`, normalised images (N, H, W, 3) to features (N, F).
            A copy of it is trained.
        num_classes: int.
        momentum: float in [0, 1).

    Attributes:
        backbone: the copy.
        head: the linear layer.

    Example:

    >>> classifier = Classifier(backbone, num_classes=10)
    >>> classifier.start(seed=0, pretrained=True)
    >>> classifier.train(batches, steps=100, rate=0.5, backbone_rate=0.002)
    >>> classifier.test(test_batches)
    {'top1': 0.75, 'top5': 0.99}
    """

    def __init__(self, backbone, num_classes, momentum=0.9):
        self._pretrained = backbone
        self.backbone = _copy(backbone)
        self.head = linear_layer(num_classes)
        self._ratio = tf.Variable(1.0, trainable=False)
        slowed = keras.layers.Lambda(_slowed(self._ratio), dtype="float32")
        self._network = keras.Sequential([self.backbone, slowed, self.head])
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
        self._fresh_optimizer = [v.numpy() for v in optimizer.variables]

    def start(self, seed, pretrained):
        """Goes back to before the first step.

        Args:
            seed: int, of all fresh weights.
            pretrained: bool, whether the backbone gets its own weights or fresh ones.
        """
        keras.utils.set_random_seed(seed)
        for ours, theirs in zip(
            (self.backbone, self.head), self._fresh(pretrained), strict=True
        ):
            ours.set_weights(theirs)
        optimizer = self._network.optimizer
        for variable, value in zip(
            optimizer.variables, self._fresh_optimizer, strict=True
        ):
            variable.assign(value)

    def train(self, batches, steps, rate, backbone_rate):
        """Trains; both rates fall to a fifth after 60 % and after 80 % of the steps.

        Args:
            batches: endless `tf.data.Dataset` of (images, labels).
            steps: int > 0.
            rate: float > 0, of the linear layer.
            backbone_rate: float > 0.
        """
        self._ratio.assign(backbone_rate / rate)

        def begin(step, logs=None):
            self._network.optimizer.learning_rate = rate * rate_factor(step, steps)

        self._network.fit(
            batches,
            steps_per_epoch=steps,
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=begin)],
            shuffle=False,
            verbose=0,
        )

    def test(self, batches):
        """Returns dict of `"top1"` and `"top5"`, fractions of the images.

        Args:
            batches: `tf.data.Dataset` of (images, labels).
        """
        scores = self._network.evaluate(batches, return_dict=True, verbose=0)
        return {name: scores[name] for name in ("top1", "top5")}

    def _fresh(self, pretrained):
        """The first weights of the backbone and of the head."""
        fresh = _copy(self._pretrained)
        # Made either way, so that the head's weights do not depend on `pretrained`.
        source = self._pretrained if pretrained else fresh
        head = linear_layer(self.head.units)
        head.build((None, self.head.kernel.shape[0]))
        return source.get_weights(), head.get_weights()


def rate_factor(step, steps):
    """Returns float, what the rates are multiplied by in this step.

    Args:
        step: int from 0 on.
        steps: int > 0, in all.
    """
    return _DROP_FACTOR ** sum(step >= round(drop * steps) for drop in _DROPS)


def _copy(backbone):
    """The same architecture with fresh weights."""
    copy = keras.models.clone_model(backbone)
    copy.trainable = True
    return copy


def _slowed(ratio):
    """The identity, whose gradient is `ratio` times what comes in.

    SGD is linear in the gradient, so that what stands before it learns at exactly
    `ratio` times the optimizer's rate.
    """

    @tf.custom_gradient
    def slowed(features):
        features = tf.cast(features, tf.float32)

        def grad(upstream, variables=None):
            return ratio * upstream

        return tf.identity(features), grad

    return slowed
