"""LiDAR: the rank of the scatter between images over that within images."""

from __future__ import annotations

from typing import Any

import numpy as np

from bt_keras import checks
from bt_keras.scores.rows import blocks, check_rows, resolution
from bt_keras.scores.spectrum import eigenvalues, entropy_rank

# Section 4 and the appendix of the paper.
DELTA = 1e-4
EPSILON = 1e-7


def lidar(embeddings: Any, delta: float = DELTA) -> float:
    """Computes LiDAR (Thilak et al., arXiv 2312.04000, section 4).

    Every image is a class whose members are its augmentations. With the mean μ_x of
    the embeddings e of image x, and the mean μ of all of them,

        Σ_b = mean over x of (μ_x - μ)(μ_x - μ)ᵀ
        Σ_w = mean over x and its augmentations of (e - μ_x)(e - μ_x)ᵀ + δ I

    and the eigenvalues λ of Σ_w^(-1/2) Σ_b Σ_w^(-1/2),

        p_i = λ_i / Σ_j λ_j + 1e-7,   LiDAR = exp(-Σ_i p_i log p_i).

    The eigenvalues are those of BᵀΣ_w⁻¹B, Σ_b = BBᵀ, which is (n, n): at most n - 1 of
    the D eigenvalues are positive.

    Args:
        embeddings: Array (n, q, D) of numbers, n images with q augmentations each,
            n >= 2 and q >= 2. The paper takes n = 1000, q = 50 and the projector's
            outputs.
        delta: Float > 0, the δ above. Defaults to `1e-4`.

    Returns:
        Float: at most min(n - 1, D) up to the effect of the 1e-7, 0 if all images have
        the same mean up to rounding.

    Raises:
        UsageError: If the embeddings are not such an array, or a number is not finite.

    Example:

    >>> from bt_keras import scores
    >>> rng = np.random.default_rng(0)
    >>> images = rng.normal(size=(500, 1, 3)) @ rng.normal(size=(3, 8))
    >>> views = images + 0.1 * rng.normal(size=(500, 4, 8))
    >>> scores.lidar(views) < 4
    True
    """
    array = check_rows("embeddings", embeddings, "(n, q, D)")
    delta = checks.number("delta", delta, checks.POSITIVE)
    count, views, width = array.shape
    within, means, mean_square = np.zeros((width, width)), [], 0.0
    for block in blocks(array):
        mean_square += np.square(block).sum() / array.size
        means.append(block.mean(axis=1))
        deviations = (block - means[-1][:, np.newaxis]).reshape(-1, width)
        within += deviations.T @ deviations
    within = within / (count * views) + delta * np.eye(width)
    between = np.concatenate(means)
    between = (between - between.mean(axis=0)) / np.sqrt(count)
    whitened = np.linalg.solve(np.linalg.cholesky(within), between.T)
    positive = eigenvalues(whitened)
    # Rounding errors of embeddings that are equal are no directions.
    positive[positive <= resolution(array) ** 2 * mean_square / delta] = 0
    return entropy_rank(np.pad(positive, (0, width - len(positive))), EPSILON)
