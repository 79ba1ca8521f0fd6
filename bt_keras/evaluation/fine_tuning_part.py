"""One training of fine-tuning: a measurement of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from bt_keras.data import Source
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.few_labels import LabeledImages
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import Scalar

NETWORKS = ("pretrained", "scratch")


class Whole(Protocol):
    """What a training uses of the fine-tuning that it is a part of."""

    name: str
    config_entry: str
    rates: str

    def settings(self) -> dict[str, Any]: ...
    def prepared(self, frozen: FrozenBackbone) -> LabeledImages: ...
    def subset(self, images: LabeledImages, share: float, seed: int) -> Source: ...
    def subset_settings(
        self, frozen: FrozenBackbone, share: float
    ) -> dict[str, str]: ...
    def steps(self, num_images: int) -> int: ...
    def given_rates(self) -> dict[str, tuple[float, float]]: ...
    def grid(self) -> dict[str, list[tuple[float, float]]]: ...
    def train(self, *args: Any) -> None: ...


class Training(Evaluator):
    """One training of `FineTuning`.

    Args:
        whole: `bt_keras.evaluation.finetune.FineTuning`.
        share: Float in (0, 1].
        seed: Integer.
        network: String, `"pretrained"` or `"scratch"`.
    """

    def __init__(self, whole: Whole, share: float, seed: int, network: str):
        self.name, self.config_entry = whole.name, whole.config_entry
        self.share = share
        self.seed = seed
        self.network = network
        self._whole = whole

    def settings(self) -> dict[str, Any]:
        """Returns the settings of the whole, with those of this part alone."""
        others = self._whole.settings()
        return {k: v for k, v in others.items() if k not in ("shares", "seeds")} | {
            "share": self.share,
            "seed": self.seed,
            "network": self.network,
        }

    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Yields top-1 and top-5 accuracy.

        Args:
            frozen: `FrozenBackbone`. A copy of its backbone is trained.

        Yields:
            List of two `Result`s.
        """
        whole = self._whole
        images = whole.prepared(frozen)
        subset = whole.subset(images, self.share, self.seed)
        settings: dict[str, Scalar] = {
            "label_share": self.share,
            "images": subset.num_images,
            "steps": whole.steps(subset.num_images),
            **whole.subset_settings(frozen, self.share),
        }
        rates = whole.given_rates()[self.network]
        if whole.rates == "grid":
            rates = self._search(images, subset)
            settings["rates"] = "grid"
        settings["head_learning_rate"], settings["learning_rate"] = rates
        accuracies = self._accuracies(
            images, subset, rates, images.frozen.test_batches()
        )
        yield [
            Result(
                self.name,
                metric,
                value,
                n=frozen.test_source.num_images,
                settings=settings,
                seed=self.seed,
                backbone=self.network,
                epoch="" if self.network == "pretrained" else "0",
            )
            for metric, value in accuracies.items()
        ]

    def _accuracies(self, images, source, rates, test):
        """Trains a network on a source and tests it."""
        frozen = images.frozen
        self._whole.train(
            images.classifier,
            source,
            frozen.size,
            self.seed,
            self.network,
            frozen.statistics,
            rates,
        )
        return images.classifier.test(test)

    def _search(self, images, subset):
        """Returns the best rates of the grid for images that are held out."""
        rest, held_out = images.held_out(subset, self.seed)
        test = images.frozen.center_crops(held_out)
        tried = {
            rates: self._accuracies(images, rest, rates, test)["top1"]
            for rates in self._whole.grid()[self.network]
        }
        return max(tried, key=lambda rates: tried[rates])
