"""Fine-tuning with few labels, against the same network from scratch (section 4.1)."""

import dataclasses
import math

from bt_keras.errors import UsageError
from bt_keras.evaluation.classifier import Classifier
from bt_keras.evaluation.label_subsets import balanced_part, part_of, read_labels
from bt_keras.evaluation.train_crops import batches_of_crops


@dataclasses.dataclass(frozen=True)
class FineTuned:
    """What one network has come to.

    Args:
        backbone: `"pretrained"` or `"scratch"`.
        settings: str, its labels, images, seed and steps.
        scores: dict from `"top1"` and `"top5"` to a fraction of the test images.
    """

    backbone: str
    settings: str
    scores: dict


class FineTuning:
    """Trains the whole network on a share of the labels, pretrained and from scratch.

    The paper's protocol for the pretrained backbone: SGD without Nesterov and without
    weight decay, a higher rate for the classifier than for the backbone, both times
    0.2 after 60 % and after 80 % of the steps, random resized crops (bilinear) and
    flips, batch norm in training mode. The same network from fresh weights is trained
    on the same images for as many steps, with one rate for all of it: the small rate
    that is right for weights that are good already would leave it where it began.

    Batches are full: they run on from one epoch into the next. Fewer images than
    `batch_size` make one batch.

    Args:
        shares: sequence of float in (0, 1], of the labels. Each class gives this
            share of its images, at least one.
        seeds: int > 0. Seeds 0 to `seeds - 1` choose the images, the weights, the
            order and the crops; both networks get the same images.
        epochs: int > 0; 20 in the paper.
        min_steps: int >= 0. So many steps at least, for a few images.
        batch_size: int > 0; 256 in the paper.
        learning_rate: float > 0, of the pretrained backbone; 0.002 in the paper.
        head_learning_rate: float > 0, of the classifier on it; 0.5 in the paper.
        scratch_learning_rate: float > 0, of the network from scratch, all of it.
        momentum: float in [0, 1).

    Raises:
        UsageError: for shares or seeds out of these ranges.

    Example:

    >>> tuned = FineTuning(shares=(0.01, 0.1), seeds=1).run(frozen_backbone)
    >>> [(network.backbone, network.scores["top1"]) for network in tuned]
    [('pretrained', 0.71), ('scratch', 0.6), ('pretrained', 0.82), ('scratch', 0.78)]
    """

    name = "finetune"

    def __init__(
        self,
        shares=(0.01, 0.1, 1.0),
        seeds=3,
        epochs=20,
        min_steps=0,
        batch_size=256,
        learning_rate=0.002,
        head_learning_rate=0.5,
        scratch_learning_rate=0.1,
        momentum=0.9,
    ):
        for share in shares:
            if not 0 < share <= 1:
                raise UsageError(f"a share of the labels is {share}, not in (0, 1].")
        if seeds < 1:
            raise UsageError(f"seeds={seeds}: at least 1 is needed.")
        self.shares = tuple(shares)
        self.seeds = seeds
        self.epochs = epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.scratch_learning_rate = scratch_learning_rate
        self.momentum = momentum

    def run(self, frozen):
        """Yields a `FineTuned` for every share, seed and network.

        Args:
            frozen: `FrozenBackbone`, which stays as it is: copies are trained.
        """
        labels = read_labels(frozen.train_source)
        # One network for all: TensorFlow traces it once.
        classifier = Classifier(frozen.backbone, frozen.num_classes, self.momentum)
        test = frozen.test_batches()
        for share in self.shares:
            for seed in range(self.seeds):
                positions = balanced_part(labels, share, seed)
                part = part_of(frozen.train_source, positions)
                count, steps = part.num_images, self.steps(part.num_images)
                batch_size = min(self.batch_size, count)
                batches = batches_of_crops(part, frozen.size, batch_size, seed)
                for backbone, rates in self.rates().items():
                    classifier.start(seed, backbone == "pretrained")
                    classifier.train(batches, steps, *rates)
                    yield FineTuned(
                        backbone,
                        f"labels={100 * share:g}%, images={count}, seed={seed}, "
                        f"{steps} steps",
                        classifier.test(test),
                    )

    def rates(self):
        """Returns dict from both networks to the rates of classifier and backbone."""
        return {
            "pretrained": (self.head_learning_rate, self.learning_rate),
            "scratch": (self.scratch_learning_rate, self.scratch_learning_rate),
        }

    def steps(self, num_images):
        """Returns int, how many steps so many images are trained on."""
        batch_size = min(self.batch_size, num_images)
        return max(self.min_steps, math.ceil(self.epochs * num_images / batch_size))
