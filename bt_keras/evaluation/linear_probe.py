"""Linear probes on a frozen backbone (section 4.1 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.linear_layer import accuracies, linear_layer
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.train_crops import epoch_of_crops
from bt_keras.progress_bar import FitProgress


class LinearProbe(Evaluator):
    """Trains one linear layer on features of randomly cropped training images.

    The paper's protocol: the backbone frozen and in evaluation mode, random resized
    crops (bilinear) and flips, SGD without Nesterov momentum, weight decay added to
    the gradient, a cosine schedule over the epochs; initial weights from N(0, 0.01²),
    initial biases 0. The accuracy is measured after the last epoch.

    Args:
        epochs: Integer > 0. Defaults to `100`, as in the paper.
        batch_size: Integer > 0. Defaults to `256`, as in the paper.
        learning_rate: Float > 0, of the first epoch. Defaults to `0.3`, as in the
            paper.
        momentum: Float in [0, 1). Defaults to `0.9`.
        weight_decay: Float >= 0. Defaults to `1e-6`.
        seed: Integer. Seeds the weights, the order and the crops. Defaults to `0`.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.frozen_features import FrozenBackbone
    >>> from bt_keras.evaluation.cached_linear_probe import CachedLinearProbe
    >>> source = data.load("shipped", "test[:64]")
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> frozen = FrozenBackbone(backbone, source, source, 28, 1.0, batch_size=64)
    >>> [top1, top5] = next(CachedLinearProbe(epochs=1).run(frozen))
    >>> top1.n, top1.settings
    (64, {'epochs': 1, 'learning_rate': 0.3})
    """

    name = "linear"
    config_entry = "linear"
    # Fields of the config entry that only the probe on cached features has.
    _not_used: tuple[str, ...] = ("rates", "grid_learning_rates")

    def __init__(
        self,
        epochs: int = 100,
        batch_size: int = 256,
        learning_rate: float = 0.3,
        momentum: float = 0.9,
        weight_decay: float = 1e-6,
        seed: int = 0,
    ):
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.seed = seed

    @classmethod
    def from_config(cls, entry: Mapping[str, Any], seed: int) -> LinearProbe:
        """Builds the probe from its config entry and the config's seed."""
        own = {k: v for k, v in entry.items() if k not in cls._not_used}
        return cls(**own, seed=seed)

    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Yields the top-1 and the top-5 accuracy.

        Args:
            frozen: `FrozenBackbone`.

        Yields:
            List of two `Result`s.
        """
        scores = self.test(self.train(frozen), frozen)
        yield [
            Result(
                self.name,
                metric,
                scores[metric],
                n=frozen.test_source.num_images,
                settings={"epochs": self.epochs, "learning_rate": self.learning_rate},
                seed=self.seed,
            )
            for metric in ("top1", "top5")
        ]

    def train(self, frozen: FrozenBackbone) -> keras.Sequential:
        """Trains a linear layer.

        Args:
            frozen: `FrozenBackbone`.

        Returns:
            `keras.Sequential`, compiled; its last layer is the linear layer.
        """
        head = self._head(frozen)
        head.fit(
            self._train_batches(frozen),
            epochs=self.epochs,
            steps_per_epoch=-(-frozen.train_source.num_images // self.batch_size),
            callbacks=[
                keras.callbacks.LearningRateScheduler(
                    lambda epoch, _: self.rate(epoch)
                ),
                FitProgress("training of the linear probe"),
            ],
            shuffle=False,
            verbose=0,
        )
        return head

    def test(self, head: keras.Sequential, frozen: FrozenBackbone) -> dict[str, float]:
        """Returns the accuracies `"top1"` and `"top5"`, fractions in [0, 1].

        Args:
            head: `keras.Sequential`, what `train` returned.
            frozen: `FrozenBackbone`.
        """
        scores = head.evaluate(
            self._test_batches(frozen),
            callbacks=[FitProgress("test of the linear probe")],
            return_dict=True,
            verbose=0,
        )
        return {name: scores[name] for name in ("top1", "top5")}

    def rate(self, epoch: int) -> float:
        """Returns the learning rate of an epoch.

        Args:
            epoch: Integer, counted from 0.
        """
        return self.learning_rate * cosine(epoch / self.epochs)

    def _train_batches(self, frozen):
        """Returns a dataset of (random crops, labels)."""
        source, size = frozen.train_source, frozen.size

        def epoch(number):
            crops = epoch_of_crops(source, number, size, self.seed, frozen.statistics)
            return crops.batch(self.batch_size)

        crops = tf.data.Dataset.range(self.epochs).flat_map(epoch)
        return crops.prefetch(tf.data.AUTOTUNE)

    def _test_batches(self, frozen):
        """Returns a dataset of (test images, labels)."""
        return frozen.test_batches()

    def _layers_before(self, frozen):
        """Returns the layers before the linear layer."""
        # A Lambda does not track the backbone: only the linear layer is trained.
        return [keras.layers.Lambda(frozen.features, dtype="float32")]

    def _head(self, frozen):
        keras.utils.set_random_seed(self.seed)
        # Weight decay in the gradient, as in PyTorch's SGD; Keras decouples it.
        decay = keras.regularizers.L2(0.5 * self.weight_decay)
        head = keras.Sequential(
            [
                *self._layers_before(frozen),
                linear_layer(
                    frozen.num_classes, kernel_regularizer=decay, bias_regularizer=decay
                ),
            ]
        )
        head.compile(
            # The head is float32 for any precision of the backbone: no loss scaling.
            auto_scale_loss=False,
            optimizer=keras.optimizers.SGD(self.learning_rate, self.momentum),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=accuracies(),
            jit_compile=False,
        )
        return head


def cosine(done: float) -> float:
    """Returns the factor of the learning rate, from 1 at the start to 0 at the end.

    Args:
        done: Float in [0, 1], the share of the training that is done.

    Example:

    >>> from bt_keras.evaluation.linear_probe import cosine
    >>> cosine(0.0), round(cosine(0.5), 6)
    (1.0, 0.5)
    """
    return 0.5 * (1 + math.cos(math.pi * done))
