"""What a monitor reads from a snapshot of a training step."""

from __future__ import annotations

import keras
import numpy as np

from bt_keras import scores
from bt_keras.callbacks import representation
from bt_keras.callbacks.snapshot import Snapshot
from bt_keras.optimizers import LARS
from bt_keras.optimizers.lars import trust_ratio

# Rows of a batch whose effective rank is computed.
_RANK_ROWS = 512


def of_representation(snapshot: Snapshot, lambd: float) -> dict[str, float]:
    """Computes the statistics of features and embeddings, and the loss over its floor.

    Args:
        snapshot: `Snapshot`.
        lambd: Float >= 0, the weight of the redundancy term.

    Returns:
        Dict from the names of docs/callbacks.md to floats.
    """
    features, (z_a, z_b) = np.concatenate(snapshot.features), snapshot.embeddings
    width = z_a.shape[1]
    floor = loss_floor(snapshot, lambd)
    with np.errstate(all="ignore"):  # A run may have become NaN.
        return {
            "feature_std": representation.feature_std(features),
            "dead_features": representation.dead_share(features),
            "diagonal": float(representation.diagonal(z_a, z_b).mean()),
            "off_diagonal": representation.off_diagonal(snapshot.redundancy, width),
            "loss_above_floor": snapshot.loss - floor,
            "feature_rank": _rank(snapshot.features[0]),
            "embedding_rank": _rank(z_a),
        }


def loss_floor(snapshot: Snapshot, lambd: float) -> float:
    """Computes the least loss of embeddings of this batch and width.

    Args:
        snapshot: `Snapshot`.
        lambd: Float >= 0, the weight of the redundancy term.

    Returns:
        Float, NaN for a loss that is not that of Barlow Twins.
    """
    if np.isnan(snapshot.redundancy):
        return float("nan")
    return scores.loss_floor(snapshot.batch, snapshot.embeddings[0].shape[1], lambd)


def of_gradients(snapshot: Snapshot) -> dict[str, float]:
    """Computes the norms of all gradients and of all trainable weights.

    Args:
        snapshot: `Snapshot`.

    Returns:
        Dict from the names of docs/callbacks.md to floats.
    """
    return {
        "gradient_norm": float(np.linalg.norm(snapshot.gradient_norms)),
        "weight_norm": float(np.linalg.norm(snapshot.weight_norms)),
    }


def lars_of(optimizer: keras.optimizers.Optimizer) -> LARS | None:
    """Returns the `LARS` of a model's optimizer, or `None` if it is another one."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # Of mixed_float16.
    return inner if isinstance(inner, LARS) else None


def trust_ratios(
    snapshot: Snapshot, variables: list[keras.Variable], lars: LARS
) -> dict[str, float]:
    """Computes the trust ratios by which LARS multiplies gradients.

    Args:
        snapshot: `Snapshot`.
        variables: List of `keras.Variable`, the model's trainable variables.
        lars: `LARS`.

    Returns:
        Dict from the paths of the variables of rank 2 and more to their ratios, the
        smallest first.
    """
    kernels = [i for i, variable in enumerate(variables) if len(variable.shape) > 1]
    decays = np.array([lars.weight_decay_of(variables[i]) for i in kernels])
    weights, gradients = (
        each[kernels] for each in (snapshot.weight_norms, snapshot.gradient_norms)
    )
    # ‖g + decay p‖²
    squares = gradients**2 + 2 * decays * snapshot.dots[kernels]
    decayed = np.sqrt(np.maximum(squares + (decays * weights) ** 2, 0))
    ratios = trust_ratio(weights, decayed, lars.trust_coefficient)
    found = zip((variables[i].path for i in kernels), map(float, ratios), strict=True)
    return dict(sorted(found, key=lambda pair: pair[1]))


def _rank(rows: np.ndarray) -> float:
    if not np.isfinite(rows).all():
        return float("nan")
    return scores.effective_rank(rows, samples=_RANK_ROWS)
