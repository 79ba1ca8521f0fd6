"""What the replicas of a step exchange."""

from __future__ import annotations

import dataclasses
import math

from bt_keras.model import both_views
from bt_keras.model.barlow_twins import BarlowTwins

_FLOAT = 4  # bytes
# A variable that both batch norms have, Keras's and that of `bt_keras.networks`, and no
# other layer of theirs.
_STATISTIC = "moving_mean"


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Numbers of floats in the collectives of a step, from one replica.

    Attributes:
        loss_gathered: Integer, of the loss's all-gather.
        loss_reduced: Integer, of the loss's all-reduces.
        batch_norm: Integer, of the all-reduces of batch norm.
        gradients: Integer, of the all-reduces of gradients.
    """

    loss_gathered: int
    loss_reduced: int
    batch_norm: int
    gradients: int

    def bytes_sent(self, replicas: int) -> int:
        """Returns the bytes that a replica sends in a step, with collectives in rings.

        In a ring of R replicas, an all-gather sends R - 1 times the replica's own
        floats, and an all-reduce 2 (R - 1) / R times the sum's.

        Args:
            replicas: Integer > 0, R.

        Example:

        >>> from bt_keras.plan.traffic import Traffic
        >>> Traffic(100, 0, 0, 1000).bytes_sent(2)  # 4 · (100 + 1000)
        4400
        """
        reduced = self.loss_reduced + self.batch_norm + self.gradients
        around = replicas - 1
        return round(
            _FLOAT * (around * self.loss_gathered + 2 * around / replicas * reduced)
        )


def of_step(
    model: BarlowTwins, rows: int, width: int, implementation: str | None
) -> Traffic:
    """Counts what `BarlowTwins.train_step` says that it sends.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        rows: Integer, the images n of a replica.
        width: Integer, the width D of the embeddings.
        implementation: `"gram"` or `"correlation"`, or `None` for the loss of another
            method, which is not counted.

    Returns:
        `Traffic`.
    """
    gathered, reduced = {
        "gram": (2 * rows * width, 1 + 2 * width),
        "correlation": (4 * width + 1, width**2 + 3 * width),
        None: (0, 0),
    }[implementation]
    both = (both_views.VIEWS, both_views.FEATURES)
    return Traffic(
        loss_gathered=gathered,
        loss_reduced=reduced,
        batch_norm=_of_batch_norm(model, model.backbone, both[:1])
        + _of_batch_norm(model, model.projector, both),
        gradients=1 + sum(math.prod(v.shape) for v in model.trainable_variables),
    )


def _of_batch_norm(model, network, stacked):
    """Counts the floats of a network's layers, in all micro-batches."""
    channels = [
        variable.shape[0]
        for variable in network.non_trainable_variables
        if variable.name == _STATISTIC
    ]
    counts = 1 if model.stacks in stacked else 2  # One number for each collective.
    forward = sum(4 * size + counts for size in channels)
    # Micro-batches pass forward twice.
    passes = 1 if model.microbatches == 1 else 2
    return model.microbatches * (passes * forward + sum(4 * size for size in channels))
