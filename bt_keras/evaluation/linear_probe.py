"""The linear probe on a frozen backbone (section 4.1 of the paper)."""

import math

import keras
import numpy as np
import tensorflow as tf

from bt_keras.evaluation.train_crops import epoch_of_crops


class LinearProbe:
    """Trains one linear layer on features of randomly cropped training images.

    The paper's protocol: the backbone frozen and in evaluation mode, random resized
    crops (bilinear) and flips, SGD without Nesterov, weight decay in the gradient, a
    cosine over the epochs; weights from N(0, 0.01²), biases from 0. The accuracy is
    the last epoch's.

    Args:
        epochs: int > 0; 100 in the paper.
        batch_size: int > 0; 256 in the paper.
        learning_rate: float > 0, of the first epoch; 0.3 in the paper.
        momentum: float in [0, 1).
        weight_decay: float >= 0.
        seed: int, of the weights, the order and the crops.
    """

    name = "linear"

    def __init__(
        self,
        epochs=100,
        batch_size=256,
        learning_rate=0.3,
        momentum=0.9,
        weight_decay=1e-6,
        seed=0,
    ):
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.seed = seed
        self.settings = f"{epochs} epochs"

    def run(self, frozen):
        """Yields `("top1", value)` and `("top5", value)`, fractions of the test images.

        Args:
            frozen: `FrozenBackbone`.
        """
        train, test = self._sets(frozen)
        head = self._head(frozen)
        head.fit(
            train,
            epochs=self.epochs,
            steps_per_epoch=-(-frozen.train_source.num_images // self.batch_size),
            callbacks=[keras.callbacks.LearningRateScheduler(self._rate)],
            shuffle=False,
            verbose=0,
        )
        scores = head.evaluate(test, return_dict=True, verbose=0)
        yield from ((name, scores[name]) for name in ("top1", "top5"))

    def _sets(self, frozen):
        """Datasets of (images, labels): random crops to train, centres to test."""
        source, size = frozen.train_source, frozen.size

        def epoch(number):
            crops = epoch_of_crops(source, number, size, self.seed)
            return crops.batch(self.batch_size)

        crops = tf.data.Dataset.range(self.epochs).flat_map(epoch)
        return crops.prefetch(tf.data.AUTOTUNE), frozen.test_batches()

    def _embedding(self, frozen):
        """What stands before the linear layer."""
        # A Lambda does not track the backbone: only the linear layer trains.
        return [keras.layers.Lambda(frozen.features, dtype="float32")]

    def _head(self, frozen):
        keras.utils.set_random_seed(self.seed)
        # Added to the gradient, as PyTorch's SGD does; Keras's own is decoupled.
        decay = keras.regularizers.L2(0.5 * self.weight_decay)
        head = keras.Sequential(
            [
                *self._embedding(frozen),
                linear_layer(
                    frozen.num_classes, kernel_regularizer=decay, bias_regularizer=decay
                ),
            ]
        )
        head.compile(
            # In float32 whatever the backbone's precision: nothing to scale.
            auto_scale_loss=False,
            optimizer=keras.optimizers.SGD(self.learning_rate, self.momentum),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=accuracies(),
            jit_compile=False,
        )
        return head

    def _rate(self, epoch, _=None):
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


class CachedLinearProbe(LinearProbe):
    """The same probe on cached features of centre crops: seconds for hours.

    The features are computed once, and standardised with the training images' mean
    and standard deviation, so that one learning rate fits every backbone.
    """

    name = "linear_cached"

    def _sets(self, frozen):
        mean = frozen.train.features.mean(axis=0)
        deviation = frozen.train.features.std(axis=0) + 1e-6

        def standardised(split):
            features = ((split.features - mean) / deviation).astype(np.float32)
            return tf.data.Dataset.from_tensor_slices((features, split.labels))

        train = standardised(frozen.train)
        train = train.shuffle(len(frozen.train.labels), seed=self.seed)
        train = train.batch(self.batch_size).repeat()
        return train, standardised(frozen.test).batch(1024)

    def _embedding(self, frozen):
        return []


def linear_layer(num_classes, **kwargs):
    """The paper's classifier: weights from N(0, 0.01²), biases from 0, in float32."""
    return keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype="float32",
        **kwargs,
    )


def accuracies():
    """Returns new Keras metrics `top1` and `top5`."""
    return [
        keras.metrics.SparseTopKCategoricalAccuracy(top, name=f"top{top}")
        for top in (1, 5)
    ]
