"""A linear probe on another data set, as the paper's on Places205 and iNaturalist."""

from __future__ import annotations

import os

from bt_keras.errors import UsageError
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.linear_probe import LinearProbe
from bt_keras.evaluation.target import EvaluationTarget
from bt_keras.files import storage


class Transfer(LinearProbe):
    """Trains one linear layer on other labeled images than those of pretraining.

    The probe is `LinearProbe` with another schedule: the learning rate is divided by
    10 after one third and after two thirds of the epochs.

    Args:
        epochs: Integer > 0. Defaults to `14`, as in the paper for Places205; for
            iNaturalist 2018 it has 84.
        batch_size: Integer > 0. Defaults to `256`.
        learning_rate: Float > 0, of the first epochs. Defaults to `0.01`, as in the
            paper.
        momentum: Float in [0, 1). Defaults to `0.9`, as in the paper.
        weight_decay: Float >= 0. Defaults to `5e-4`, as in the paper.
        seed: Integer. Seeds the weights, the order and the crops. Defaults to `0`.

    Example:

    >>> from bt_keras.evaluation.transfer import Transfer
    >>> probe = Transfer(epochs=14)
    >>> [probe.rate(epoch) for epoch in (0, 4, 5, 8, 9, 13)]
    [0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001]
    """

    name = "transfer"
    config_entry = "transfer"

    def __init__(
        self,
        epochs: int = 14,
        batch_size: int = 256,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        seed: int = 0,
    ):
        super().__init__(
            epochs, batch_size, learning_rate, momentum, weight_decay, seed
        )

    def check(self, frozen: FrozenBackbone, target: EvaluationTarget) -> None:
        """Raises `UsageError` without labels, or for the images of pretraining."""
        if _place(frozen.train_source.name) == _place(target.config.data.source):
            raise UsageError(
                "transfer needs other images than those of pretraining: give --source, "
                "the name or the folder of a labeled data set."
            )
        super().check(frozen, target)

    def rate(self, epoch: int) -> float:
        """Returns the learning rate of an epoch.

        Args:
            epoch: Integer, counted from 0.
        """
        drops = sum(epoch >= round(self.epochs * third / 3) for third in (1, 2))
        return self.learning_rate / 10**drops


def _place(name):
    """Returns one name for all spellings of a source's name."""
    if name.startswith("tfds:"):
        # Without the version: the images are mostly the same.
        dataset, *_ = name.removeprefix("tfds:").split(":")
        return f"tfds:{dataset}"
    if name == "shipped":
        return name
    return storage.real(os.path.expanduser(name)).rstrip("/")
