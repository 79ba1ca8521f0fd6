"""Train a classifier on labeled images, with the protocols of the evaluators."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from bt_keras.data import Source, faults
from bt_keras.errors import UsageError
from bt_keras.evaluation.classifier import Classifier
from bt_keras.evaluation.evaluator import build_evaluator
from bt_keras.evaluation.intervals import percent_interval
from bt_keras.evaluation.target import EvaluationTarget
from bt_keras.networks import ImageClassifier, image_classifier


@dataclasses.dataclass(frozen=True)
class TrainedClassifier:
    """A classifier and its accuracy on images that it was not trained on.

    Args:
        model: `ImageClassifier`.
        image_size: Integer, side in pixels of the images that it was trained on.
        resize_ratio: Float >= 1, see `FrozenBackbone`.
        bits: Integer, significant bits of images with more than 8 bits.
        accuracies: Dict from `"top1"` and `"top5"` to fractions in [0, 1].
        num_test: Integer, the number of test images.
    """

    model: ImageClassifier
    image_size: int
    resize_ratio: float
    bits: int
    accuracies: Mapping[str, float]
    num_test: int

    def describe(self) -> str:
        """Describes the accuracy in one line.

        Example:

        >>> from bt_keras.evaluation.train_classifier import TrainedClassifier
        >>> scores = {"top1": 0.8, "top5": 1.0}
        >>> TrainedClassifier(None, 224, 1.0, 16, scores, 10).describe()
        'held-out accuracy: 80.00 % (95 % interval: 49.02 to 94.33 %), on 10 images'
        """
        share = self.accuracies["top1"]
        interval = percent_interval(share, self.num_test)
        return (
            f"held-out accuracy: {100 * share:.2f} % (95 % interval: {interval} %), "
            f"on {self.num_test} images"
        )


def train_classifier(
    target: EvaluationTarget,
    train: Source,
    test: Source,
    *,
    freeze: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> TrainedClassifier:
    """Trains a linear layer on a backbone, and the backbone, too, unless it is frozen.

    Training is that of the evaluator `"finetune"`, from the pretrained weights and on
    all labels, or that of `"linear"` for a frozen backbone.

    Args:
        target: `EvaluationTarget`. Its backbone is not changed.
        train: `Source` with labels.
        test: `Source` with the same classes.
        freeze: Boolean, whether to train only the linear layer. Defaults to `False`.
        overrides: Dict of arguments of the evaluator that replace those of the config,
            such as `{"epochs": 5}`. Defaults to `None`.

    Returns:
        `TrainedClassifier`.

    Raises:
        UsageError: If an image cannot be read, or the weights become non-finite.
    """
    config = target.config
    frozen = target.frozen(train, test)
    fit = _train_head if freeze else _train_whole
    name = "linear" if freeze else "finetune"
    settings = dict(overrides or {})
    evaluator = build_evaluator(name, config.evaluation, config.seed, **settings)
    with faults.named(train.find_fault, test.find_fault):
        backbone, head, accuracies = fit(evaluator, frozen, config.seed)
    names, statistics = train.class_names, frozen.statistics
    model = image_classifier(backbone, head, names, statistics)
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise UsageError(
            "training diverged: the classifier's weights contain NaN or infinity; "
            "lower the learning rates."
        )
    return TrainedClassifier(
        model,
        frozen.size,
        config.evaluation.resize_ratio,
        config.data.bits,
        accuracies,
        test.num_images,
    )


def _train_head(evaluator, frozen, seed):
    """Returns the frozen backbone, the trained linear layer, and the accuracies."""
    network = evaluator.train(frozen)
    frozen.backbone.trainable = False
    return frozen.backbone, network.layers[-1], evaluator.test(network, frozen)


def _train_whole(evaluator, frozen, seed):
    """Returns the trained backbone and linear layer, and the accuracies."""
    classifier = Classifier(frozen.backbone, frozen.num_classes, evaluator.momentum)
    evaluator.train(
        classifier,
        frozen.train_source,
        frozen.size,
        seed,
        statistics=frozen.statistics,
    )
    accuracies = classifier.test(frozen.test_batches())
    return classifier.backbone, classifier.head, accuracies
