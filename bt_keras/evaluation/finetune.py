"""Fine-tuning with few labels, against training from scratch (section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bt_keras import checks
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.data import Source
from bt_keras.evaluation.classifier import Classifier
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.label_subsets import balanced_subset, read_labels, take_subset
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.train_crops import batches_of_crops


class FineTuning(Evaluator):
    """Trains the whole network on a share of the labels, pretrained and from scratch.

    The paper's protocol for the pretrained backbone: SGD without Nesterov momentum and
    without weight decay, a higher learning rate for the classifier than for the
    backbone, both multiplied by 0.2 after 60 % and after 80 % of the steps, random
    resized crops (bilinear) and flips, batch normalization in training mode. The same
    network with fresh weights is trained on the same images for the same number of
    steps, with one learning rate for all layers: the small rate that suits pretrained
    weights would hardly change fresh ones.

    All batches are full: a batch at the end of an epoch continues with images of the
    next one. Fewer images than `batch_size` form one batch.

    Args:
        shares: Sequence of floats in (0, 1], the shares of the labels. Each class
            contributes this share of its images, at least one. Defaults to
            `(0.01, 0.1, 1.0)`.
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

    Raises:
        UsageError: If `shares` or `seeds` are out of range.

    Example:

    >>> from bt_keras.evaluation.finetune import FineTuning
    >>> evaluator = FineTuning(shares=(0.01, 0.1), seeds=1)
    >>> evaluator.steps(num_images=512)
    40
    """

    name = "finetune"
    config_entry = "finetune"

    def __init__(
        self,
        shares: Sequence[float] = (0.01, 0.1, 1.0),
        seeds: int = 3,
        epochs: int = 20,
        min_steps: int = 0,
        batch_size: int = 256,
        learning_rate: float = 0.002,
        head_learning_rate: float = 0.5,
        scratch_learning_rate: float = 0.1,
        momentum: float = 0.9,
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

    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Yields top-1 and top-5 accuracy for every share, seed and network.

        Args:
            frozen: `FrozenBackbone`. Copies of its backbone are trained.

        Yields:
            List of two `Result`s, as soon as a network is trained.
        """
        labels = read_labels(frozen.train_source)
        # One network is reused for all trainings, so that TensorFlow traces it once.
        classifier = Classifier(frozen.backbone, frozen.num_classes, self.momentum)
        test = frozen.test_batches()
        for share in self.shares:
            for seed in range(self.seeds):
                positions = balanced_subset(labels, share, seed)
                subset = take_subset(frozen.train_source, positions)
                count, steps = subset.num_images, self.steps(subset.num_images)
                settings = {"label_share": share, "images": count, "steps": steps}
                for backbone in self.rates():
                    self.train(
                        classifier,
                        subset,
                        frozen.size,
                        seed,
                        backbone,
                        frozen.statistics,
                    )
                    yield self._results(
                        classifier.test(test), frozen, settings, seed, backbone
                    )

    def train(
        self,
        classifier: Classifier,
        source: Source,
        size: int,
        seed: int,
        backbone: str = "pretrained",
        statistics: Statistics = IMAGENET,
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
        """
        batch_size = min(self.batch_size, source.num_images)
        batches = batches_of_crops(source, size, batch_size, seed, statistics)
        classifier.reset(seed, backbone == "pretrained")
        steps = self.steps(source.num_images)
        classifier.train(batches, steps, *self.rates()[backbone])

    def rates(self) -> dict[str, tuple[float, float]]:
        """Returns the learning rates of classifier and backbone of both networks."""
        return {
            "pretrained": (self.head_learning_rate, self.learning_rate),
            "scratch": (self.scratch_learning_rate, self.scratch_learning_rate),
        }

    def steps(self, num_images: int) -> int:
        """Returns the number of steps that a network is trained for.

        Args:
            num_images: Integer > 0, number of labeled images.
        """
        batch_size = min(self.batch_size, num_images)
        return max(self.min_steps, math.ceil(self.epochs * num_images / batch_size))

    def _results(self, accuracies, frozen, settings, seed, backbone):
        pretrained = backbone == "pretrained"
        return [
            Result(
                self.name,
                metric,
                value,
                n=frozen.test_source.num_images,
                settings=settings,
                seed=seed,
                backbone=backbone,
                epoch="" if pretrained else "0",
            )
            for metric, value in accuracies.items()
        ]
