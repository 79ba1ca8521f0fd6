"""The linear probe on features that are computed once."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from absl import logging

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.evaluation.feature_batches import ordered_batches, shuffled_batches
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.linear_probe import LinearProbe, cosine
from bt_keras.evaluation.probe_rates import probe_accuracies
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import RATES

_GRID = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)


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
    >>> from bt_keras.evaluation.cached_linear_probe import CachedLinearProbe
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
    _not_used = ()

    def __init__(
        self,
        *,
        rates: str = "paper",
        grid_learning_rates: Sequence[float] = _GRID,
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
