"""Linear probes on a frozen backbone (section 4.1 of the paper)."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.feature_batches import ordered_batches, shuffled_batches
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.linear_layer import accuracies, linear_layer
from bt_keras.evaluation.probe_rates import probe_accuracies
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import RATES
from bt_keras.evaluation.train_crops import epoch_of_crops
from bt_keras.progress_bar import FitProgress

# Fields of `config.evaluation.linear` that only the probe on cached features has.
_OF_CACHED_PROBE = ("rates", "grid_learning_rates")
GRID = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)


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


class CachedLinearProbe(LinearProbe):
    """The linear probe on cached features of center crops, in seconds.

    The features are computed once and standardized with the mean and the standard
    deviation of the training images.

    With `rates="grid"`, the learning rate is chosen first: a layer is trained with each
    rate of the grid on nine tenths of the training images, and tested on the rest. The
    best rate is then used on all of them. The test images have no part in the choice.
    Networks with more features need smaller rates.

    Args:
        rates: String, `"paper"` for `learning_rate`, or `"grid"`. Defaults to
            `"paper"`.
        grid_learning_rates: Sequence of floats > 0, to choose the rate from. Defaults
            to `(1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)`.
        **kwargs: The arguments of `LinearProbe`.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.frozen_features import FrozenBackbone
    >>> from bt_keras.evaluation.linear_probe import CachedLinearProbe
    >>> source = data.load("shipped", "test[:64]")
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> frozen = FrozenBackbone(backbone, source, source, 28, 1.0, batch_size=64)
    >>> probe = CachedLinearProbe(epochs=1, rates="grid", grid_learning_rates=(0.1,))
    >>> [top1, top5] = next(probe.run(frozen))
    linear_cached, accuracy of held-out training images by rate: 0.1: ...
    >>> top1.settings
    {'epochs': 1, 'learning_rate': 0.1, 'rates': 'grid'}
    """

    name = "linear_cached"

    def __init__(
        self,
        *,
        rates: str = "paper",
        grid_learning_rates: Sequence[float] = GRID,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rates = checks.choice("rates", rates, RATES)
        kind = checks.POSITIVE
        self.grid_learning_rates = tuple(
            checks.number("grid_learning_rates", rate, kind)
            for rate in grid_learning_rates
        )
        if not self.grid_learning_rates:
            raise UsageError("grid_learning_rates is empty: give at least one rate.")

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
        if self.rates == "paper":
            yield from super().run(frozen)
            return
        chosen = self._with_rate(self._best_rate(frozen))
        for results in chosen.run(frozen):
            yield [
                dataclasses.replace(each, settings={**each.settings, "rates": "grid"})
                for each in results
            ]

    def _with_rate(self, rate):
        chosen = copy.copy(self)
        chosen.learning_rate, chosen.rates = rate, "paper"
        return chosen

    def _best_rate(self, frozen):
        rates = self.grid_learning_rates
        found = probe_accuracies(
            frozen.train,
            frozen.num_classes,
            rates,
            schedule=cosine,
            epochs=self.epochs,
            batch_size=self.batch_size,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            seed=self.seed,
        )
        shown = (f"{r:g}: {100 * f:.2f} %" for r, f in zip(rates, found, strict=True))
        print(
            f"{self.name}, accuracy of held-out training images by rate: "
            + ", ".join(shown)
        )
        # Of rates with the same accuracy, the middle one, or the smaller of two.
        tied = sorted(r for r, f in zip(rates, found, strict=True) if f == max(found))
        best = tied[(len(tied) - 1) // 2]
        if len(tied) < len(rates) and best in (min(rates), max(rates)):
            logging.warning(
                "%s: the best rate, %g, is at the end of config.evaluation.linear."
                "grid_learning_rates: extend it, as a rate beyond may be better.",
                self.name,
                best,
            )
        return best

    def _train_batches(self, frozen):
        train = frozen.train
        return shuffled_batches(train, train.moments, self.batch_size, self.seed)

    def _test_batches(self, frozen):
        return ordered_batches(frozen.test, frozen.train.moments)

    def _layers_before(self, frozen):
        return []


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
