"""Scores of a backbone that need no labels: `bt_keras.scores` on images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bt_keras import checks, scores
from bt_keras.evaluation import feature_identity, pretext_outputs
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.label_free_table import LABEL_FREE
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.target import EvaluationTarget
from bt_keras.scores.rows import spaced

_SEVERAL = checks.Number(4, integer=True)
_PAIR = checks.Number(2, integer=True)
FEATURES, EMBEDDINGS = "features", "embeddings"


class LabelFree(Evaluator):
    """Computes RankMe, alpha-ReQ, CLID, LiDAR and the loss over its floor.

    RankMe, alpha-ReQ and CLID are computed on the features of center crops of the
    training images, RankMe on their embeddings, too. LiDAR is computed on the
    embeddings of random views of training images, made as in pretraining; without a
    projector, on their features. The loss is that of the test images, in batches of the
    size used in training, over `bt_keras.scores.loss_floor`.

    What an exported module cannot give is left out, and printed with the reason.

    Args:
        rank_images: Integer > 3, the most images for RankMe. Defaults to `25600`.
        cluster_images: Integer > 3, the most images for CLID. Defaults to `10000`.
        lidar_images: Integer > 1, the most images for LiDAR. Defaults to `1000`.
        augmentations: Integer > 1, views of each of them. Defaults to `50`.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.frozen_features import FrozenBackbone
    >>> from bt_keras.evaluation.label_free import LabelFree
    >>> source = data.load("shipped", "test[:64]")
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> frozen = FrozenBackbone(backbone, source, source, 28, 1.0, batch_size=64)
    >>> results = next(LabelFree().run(frozen))
    no embeddings, no LiDAR and no loss: the module does not have the config of its run
    >>> [result.metric for result in results]
    ['rankme', 'alpha_req', 'clid_learnability', 'clid_dimension']
    """

    name = LABEL_FREE
    config_entry = LABEL_FREE
    needs_labels = False

    def __init__(
        self,
        rank_images: int = 25_600,
        cluster_images: int = 10_000,
        lidar_images: int = 1000,
        augmentations: int = 50,
    ):
        self.rank_images = checks.number("rank_images", rank_images, _SEVERAL)
        self.cluster_images = checks.number("cluster_images", cluster_images, _SEVERAL)
        self.lidar_images = checks.number("lidar_images", lidar_images, _PAIR)
        self.augmentations = checks.number("augmentations", augmentations, _PAIR)

    def check(self, frozen: FrozenBackbone, target: EvaluationTarget) -> None:
        """Loads the projector now: a training that runs removes old checkpoints.

        Args:
            frozen: `FrozenBackbone`.
            target: `EvaluationTarget` that `frozen` was made of.

        Raises:
            UsageError: If its checkpoint cannot be read.
        """
        super().check(frozen, target)
        self.depends_on(frozen)

    def depends_on(self, frozen: FrozenBackbone) -> dict[str, Any]:
        """Returns the projector, the views and the loss, as JSON values."""
        return {"pretext": frozen.pretext and frozen.pretext.describe()}

    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Yields all scores.

        Args:
            frozen: `FrozenBackbone`.

        Yields:
            List of `Result`s.
        """
        results = self._of_features(frozen)
        pretext = frozen.pretext
        if pretext is None:
            print(
                "no embeddings, no LiDAR and no loss: the module does not have the "
                "config of its run"
            )
        elif pretext.projector is None:
            print(
                "no embeddings and no loss: the projector of a module is not used; "
                "use --workdir"
            )
            results += self._lidar(frozen)
        else:
            results += self._of_embeddings(frozen)
            results += self._lidar(frozen)
            results += self._loss(frozen)
        yield results

    def _of_features(self, frozen):
        features = frozen.train.features
        ranked, clustered = (
            min(most, len(features)) for most in (self.rank_images, self.cluster_images)
        )
        learnability, dimension = scores.clid(features, samples=clustered)
        of = {"of": FEATURES}
        return [
            self._result(
                "rankme", scores.effective_rank(features, ranked), ranked, **of
            ),
            self._result("alpha_req", scores.alpha_req(features), len(features), **of),
            self._result("clid_learnability", learnability, clustered, **of),
            self._result("clid_dimension", dimension, clustered, **of),
        ]

    def _of_embeddings(self, frozen):
        sample = spaced(frozen.train.features, self.rank_images)
        embeddings = pretext_outputs.embeddings(frozen, sample)
        rank = scores.effective_rank(embeddings, samples=None)
        return [self._result("rankme", rank, len(sample), of=EMBEDDINGS)]

    def _lidar(self, frozen):
        count = min(self.lidar_images, frozen.train_source.num_images)
        views = pretext_outputs.of_views(frozen, count, self.augmentations)
        of = FEATURES if frozen.pretext.projector is None else EMBEDDINGS
        settings = {"of": of, "augmentations": self.augmentations}
        return [self._result("lidar", scores.lidar(views), count, **settings)]

    def _loss(self, frozen):
        train, test = frozen.train_source, frozen.test_source
        if _are_same(train, test):
            print("no loss of held-out images: the test images are the training images")
            return []
        batch = min(frozen.pretext.batch_size, test.num_images)
        loss, width = pretext_outputs.held_out_loss(frozen, batch)
        floor = scores.loss_floor(batch, width, frozen.pretext.lambd)
        count = test.num_images // batch * batch
        settings = {"of": EMBEDDINGS, "batch": batch, "width": width}
        # In the units of one column, so that projectors of any width can be compared.
        values = {
            "loss": loss,
            "loss_floor": floor,
            "loss_over_floor": (loss - floor) / width,
        }
        return [
            self._result(metric, value, count, **settings)
            for metric, value in values.items()
        ]

    def _result(self, metric, value, count, **settings):
        return Result(self.name, metric, float(value), n=count, settings=settings)


def _are_same(train, test):
    known = feature_identity.of_images(train)
    same = known is not None and known == feature_identity.of_images(test)
    return train is test or same
