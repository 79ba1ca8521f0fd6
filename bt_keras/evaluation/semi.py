"""Semi-supervised training: fine-tuning on a share of the labels (section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bt_keras import checks
from bt_keras.data import Source
from bt_keras.evaluation.few_labels import LabeledImages
from bt_keras.evaluation.finetune import FineTuning
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.published_subsets import load_published, published_name
from bt_keras.evaluation.target import EvaluationTarget

SUBSETS = ("published", "stratified")


class SemiSupervised(FineTuning):
    """Trains the whole network on a share of the labels.

    Args:
        shares: Sequence of floats in (0, 1), the shares of the labels. Defaults to
            `(0.01, 0.1)`, as in the paper.
        subsets: String. `"published"`: of ImageNet (`tfds:imagenet2012`), 1 % and 10 %
            are the images that SimCLR's authors published, for every seed. Other
            shares and other data sets, and all with `"stratified"`: the seed draws the
            same share of every class. Defaults to `"published"`.
        **training: The other arguments of `FineTuning`.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras.evaluation.semi import SemiSupervised
    >>> evaluator = SemiSupervised(seeds=1)
    >>> [(part.share, part.network) for part in evaluator.parts()][:2]
    [(0.01, 'pretrained'), (0.01, 'scratch')]
    """

    name = "semi"
    config_entry = "semi"

    def __init__(
        self,
        shares: Sequence[float] = (0.01, 0.1),
        subsets: str = "published",
        **training: Any,
    ):
        kind = checks.Number(0, 1, above=True, below=True)
        advice = ": the protocol finetune trains on all labels."
        for share in shares:
            checks.number("shares", share, kind, advice)
        super().__init__(shares, **training)
        self.subsets = checks.choice("subsets", subsets, SUBSETS)

    def check(self, frozen: FrozenBackbone, target: EvaluationTarget) -> None:
        """Raises `UsageError` as `FineTuning`, or if published images are missing."""
        super().check(frozen, target)
        for share in self.shares:
            if self._is_published(frozen.train_source, share):
                load_published(frozen.train_source, share)

    def subset(self, images: LabeledImages, share: float, seed: int) -> Source:
        """Returns the published subset if there is one, otherwise a stratified one."""
        source = images.frozen.train_source
        if self._is_published(source, share):
            return load_published(source, share)
        return super().subset(images, share, seed)

    def subset_settings(self, frozen: FrozenBackbone, share: float) -> dict[str, str]:
        """Returns whether the images are published or drawn, as in `SUBSETS`."""
        is_published = self._is_published(frozen.train_source, share)
        return {"subset": "published" if is_published else "stratified"}

    def _is_published(self, source, share):
        return self.subsets == "published" and published_name(source, share) is not None
