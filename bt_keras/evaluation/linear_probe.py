"""Linear probes on a frozen backbone (section 4.1 of the paper)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from bt_keras import checks
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.feature_batches import ordered_batches, shuffled_batches
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.linear_layer import accuracies, linear_layer
from bt_keras.evaluation.probe_rates import probe_accuracies
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.train_crops import epoch_of_crops
from bt_keras.progress_bar import FitProgress

RATES = ("paper", "grid")
# Fields of `config.evaluation.linear` that only the probe on cached features has.
_OF_CACHED_PROBE = ("rates", "grid_learning_rates")


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
    >>> from bt_keras.evaluation.linear_probe import CachedLinearProbe
    >>> source = data.load("shipped", "test[:64]")
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> frozen = FrozenBackbone(backbone, source, source, 28, 1.0, batch_size=64)
    >>> [top1, top5] = next(CachedLinearProbe(epochs=1).run(frozen))
    >>> top1.n, top1.settings
    (64, {'epochs': 1, 'learning_rate': 0.3})
    """

    name = "linear"
    config_entry = "linear"

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
        own = {k: v for k, v in entry.items() if k not in _OF_CACHED_PROBE}
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
                settings=self._result_settings(),
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
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))

    def _result_settings(self):
        return {"epochs": self.epochs, "learning_rate": self.learning_rate}

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


class CachedLinearProbe(LinearProbe):
    """The linear probe on cached features of center crops, in seconds.

    The features are computed once and standardized with the mean and the standard
    deviation of the training images.

    With `rates="grid"`, the learning rate is chosen first: a layer is trained with each
    rate of the grid on nine tenths of the training images, and tested on the rest. The
    best rate is then used on all of them. The test images have no part in the choice.
    The best rate depends on the number of features: the more, the smaller.

    Args:
        **kwargs: The arguments of `LinearProbe`.
        rates: String, `"paper"` for `learning_rate`, or `"grid"`. Defaults to
            `"paper"`.
        grid_learning_rates: Sequence of floats > 0, to choose the rate of. Defaults to
            `(0.3, 0.1, 0.03, 0.01, 0.003, 0.001)`.

    Raises:
        UsageError: If `rates` is neither of both.
    """

    name = "linear_cached"

    def __init__(
        self,
        *,
        rates: str = "paper",
        grid_learning_rates: Sequence[float] = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rates = checks.choice("rates", rates, RATES)
        self.grid_learning_rates = tuple(grid_learning_rates)

    @classmethod
    def from_config(cls, entry: Mapping[str, Any], seed: int) -> CachedLinearProbe:
        """Builds the probe from its config entry and the config's seed."""
        return cls(**entry, seed=seed)

    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Yields the top-1 and the top-5 accuracy, with the rate that is chosen.

        Args:
            frozen: `FrozenBackbone`.

        Yields:
            List of two `Result`s.
        """
        probe = self
        if self.rates == "grid":
            probe = copy.copy(self)
            probe.learning_rate = self._best_rate(frozen)
        yield from super(CachedLinearProbe, probe).run(frozen)

    def _best_rate(self, frozen):
        accuracies = probe_accuracies(
            frozen.train,
            frozen.num_classes,
            self.grid_learning_rates,
            schedule=lambda epoch: self.rate(epoch) / self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            seed=self.seed,
        )
        for rate, accuracy in zip(self.grid_learning_rates, accuracies, strict=True):
            logging.info(
                "linear probe, rate %g: %.2f %% of the held-out training images",
                rate,
                100 * accuracy,
            )
        return self.grid_learning_rates[int(np.argmax(accuracies))]

    def _result_settings(self):
        chosen = {"rates": "grid"} if self.rates == "grid" else {}
        return {**super()._result_settings(), **chosen}

    def _train_batches(self, frozen):
        train = frozen.train
        return shuffled_batches(train, train.moments, self.batch_size, self.seed)

    def _test_batches(self, frozen):
        return ordered_batches(frozen.test, frozen.train.moments)

    def _layers_before(self, frozen):
        return []
