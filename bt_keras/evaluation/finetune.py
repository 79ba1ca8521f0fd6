"""Fine-tuning on all labels or on a share of them, against training from scratch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from bt_keras import checks
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.data import Source
from bt_keras.errors import UsageError
from bt_keras.evaluation.classifier import Classifier
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.few_labels import LabeledImages
from bt_keras.evaluation.fine_tuning_part import NETWORKS, Training
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import RATES
from bt_keras.evaluation.target import EvaluationTarget
from bt_keras.evaluation.train_crops import batches_of_crops


class FineTuning(Evaluator):
    """Trains the whole network on labeled images, pretrained and from scratch.

    The paper's protocol for the pretrained backbone: SGD without Nesterov momentum and
    without weight decay, a higher learning rate for the classifier than for the
    backbone, both multiplied by 0.2 after 60 % and after 80 % of the steps, random
    resized crops (bilinear) and flips, batch normalization in training mode. The same
    network with fresh weights is trained on the same images for the same number of
    steps, with one learning rate for all layers: the small rate that suits pretrained
    weights would hardly change fresh ones.

    All batches are full: a batch at the end of an epoch continues with images of the
    next one. Fewer images than `batch_size` form one batch.

    With `rates="grid"` every combination of the rates of the grid is tried: trained on
    four fifths of the labeled images, tested on the rest of them. The best one is then
    trained on all of the labeled images. The test images have no part in the choice.

    Args:
        shares: Sequence of floats in (0, 1], the shares of the labels. Each class
            contributes this share of its images, at least one. Defaults to `(1.0,)`.
        seeds: Integer > 0. Seeds 0 to `seeds - 1` choose the images, the weights, the
            order and the crops; both networks get the same images. Defaults to `3`.
        epochs: Integer > 0. Defaults to `20`, as in the paper.
        min_steps: Integer >= 0, the least number of steps, for few images. Defaults to
            `0`.
        batch_size: Integer > 0. Defaults to `256`, as in the paper.
        learning_rate: Float > 0, of the pretrained backbone. Defaults to `0.002`, as
            in the paper.
        head_learning_rate: Float > 0, of the classifier on the pretrained backbone.
            Defaults to `0.5`, as in the paper.
        scratch_learning_rate: Float > 0, of all layers of the network that is trained
            from scratch. Defaults to `0.1`.
        momentum: Float in [0, 1). Defaults to `0.9`.
        rates: String, `"paper"` for the three rates above or `"grid"`. Defaults to
            `"paper"`.
        grid_learning_rates: Sequence of floats > 0, to choose `learning_rate` of.
            Defaults to `(0.002, 0.01, 0.05)`.
        grid_head_learning_rates: Sequence of floats > 0, to choose
            `head_learning_rate` of. Defaults to `(0.1, 0.5)`.
        grid_scratch_learning_rates: Sequence of floats > 0, to choose
            `scratch_learning_rate` of. Defaults to `(0.03, 0.1, 0.3)`.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras.evaluation.finetune import FineTuning
    >>> evaluator = FineTuning(seeds=1)
    >>> evaluator.steps(num_images=512)
    40
    >>> [part.network for part in evaluator.parts()]
    ['pretrained', 'scratch']
    """

    name = "finetune"
    config_entry = "finetune"

    def __init__(
        self,
        shares: Sequence[float] = (1.0,),
        seeds: int = 3,
        epochs: int = 20,
        min_steps: int = 0,
        batch_size: int = 256,
        learning_rate: float = 0.002,
        head_learning_rate: float = 0.5,
        scratch_learning_rate: float = 0.1,
        momentum: float = 0.9,
        rates: str = "paper",
        grid_learning_rates: Sequence[float] = (0.002, 0.01, 0.05),
        grid_head_learning_rates: Sequence[float] = (0.1, 0.5),
        grid_scratch_learning_rates: Sequence[float] = (0.03, 0.1, 0.3),
    ):
        kind = checks.Number(0, 1, above=True)
        self.shares = tuple(checks.number("shares", share, kind) for share in shares)
        self.seeds = checks.number("seeds", seeds, checks.COUNT)
        self.epochs = epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.scratch_learning_rate = scratch_learning_rate
        self.momentum = momentum
        self.rates = checks.choice("rates", rates, RATES)
        self.grid_learning_rates = tuple(grid_learning_rates)
        self.grid_head_learning_rates = tuple(grid_head_learning_rates)
        self.grid_scratch_learning_rates = tuple(grid_scratch_learning_rates)
        self._prepared: LabeledImages | None = None

    def check(self, frozen: FrozenBackbone, target: EvaluationTarget) -> None:
        """Raises `UsageError` without labels, or if the backbone is untrained."""
        super().check(frozen, target)
        if target.name == "untrained":
            raise UsageError(
                f"--untrained cannot be used with --protocol={self.name}, which always "
                "trains the same network from scratch for comparison: leave it out."
            )

    def parts(self) -> list[Training]:
        """Returns one evaluator for each share, seed and network."""
        return [
            Training(self, share, seed, network)
            for share in self.shares
            for seed in range(self.seeds)
            for network in NETWORKS
        ]

    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Yields top-1 and top-5 accuracy for every share, seed and network.

        Args:
            frozen: `FrozenBackbone`. Copies of its backbone are trained.

        Yields:
            List of two `Result`s, as soon as a network is trained.
        """
        for part in self.parts():
            yield from part.run(frozen)

    def prepared(self, frozen: FrozenBackbone) -> LabeledImages:
        """Returns the labels and the compiled network that all parts share."""
        if self._prepared is None or self._prepared.frozen is not frozen:
            self._prepared = LabeledImages(frozen, self.momentum)
        return self._prepared

    def subset(self, images: LabeledImages, share: float, seed: int) -> Source:
        """Returns the images that a share of the labels is known of.

        Args:
            images: `LabeledImages`.
            share: Float in (0, 1].
            seed: Integer.
        """
        return images.stratified(share, seed)

    def subset_settings(self, frozen: FrozenBackbone, share: float) -> dict[str, str]:
        """Returns what the results tell of the choice of the images.

        Args:
            frozen: `FrozenBackbone`.
            share: Float in (0, 1].
        """
        return {}

    def train(
        self,
        classifier: Classifier,
        source: Source,
        size: int,
        seed: int,
        backbone: str = "pretrained",
        statistics: Statistics = IMAGENET,
        rates: tuple[float, float] | None = None,
    ) -> None:
        """Trains a network from its initial weights on all images of a source.

        Args:
            classifier: `Classifier`.
            source: `bt_keras.data.Source` with labels.
            size: Integer > 0, side of the crops in pixels.
            seed: Integer. Seeds the fresh weights, the order and the crops.
            backbone: String, `"pretrained"` or `"scratch"`. Defaults to
                `"pretrained"`.
            statistics: `Statistics` for the normalization. Defaults to those of
                ImageNet.
            rates: Tuple of two floats > 0, the learning rates of classifier and
                backbone. Defaults to `None`: those of the arguments.
        """
        batch_size = min(self.batch_size, source.num_images)
        batches = batches_of_crops(source, size, batch_size, seed, statistics)
        classifier.reset(seed, backbone == "pretrained")
        steps = self.steps(source.num_images)
        classifier.train(batches, steps, *(rates or self.given_rates()[backbone]))

    def given_rates(self) -> dict[str, tuple[float, float]]:
        """Returns the learning rates of classifier and backbone of both networks."""
        return {
            "pretrained": (self.head_learning_rate, self.learning_rate),
            "scratch": (self.scratch_learning_rate, self.scratch_learning_rate),
        }

    def grid(self) -> dict[str, list[tuple[float, float]]]:
        """Returns the same for all combinations of the grid, as lists."""
        heads, backbones = self.grid_head_learning_rates, self.grid_learning_rates
        return {
            "pretrained": list(itertools.product(heads, backbones)),
            "scratch": [(rate, rate) for rate in self.grid_scratch_learning_rates],
        }

    def steps(self, num_images: int) -> int:
        """Returns the number of steps that a network is trained for.

        Args:
            num_images: Integer > 0, number of labeled images.
        """
        batch_size = min(self.batch_size, num_images)
        return max(self.min_steps, math.ceil(self.epochs * num_images / batch_size))
