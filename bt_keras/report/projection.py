"""Features in two dimensions."""

from __future__ import annotations

import importlib.util

import numpy as np

# t-SNE needs more points than the neighbors that it looks at.
_PERPLEXITY = 30
_FEWEST = 10
# Unit vectors that differ by less are equal up to rounding errors.
_SMALLEST = 1e-6


def principal_components(features: np.ndarray) -> np.ndarray:
    """Projects features on their two principal components.

    Args:
        features: Float array (N, F).

    Returns:
        float64 array (N, 2); columns of zeros where there are fewer components.
    """
    features = np.asarray(features, np.float64)
    left, values, _ = np.linalg.svd(features - features.mean(axis=0), False)
    points = np.zeros((len(features), 2))
    count = min(2, len(values))
    points[:, :count] = left[:, :count] * values[:count]
    return points


def two_dimensions(features: np.ndarray) -> tuple[str, np.ndarray]:
    """Maps features to two dimensions.

    Args:
        features: Float array (N, F).

    Returns:
        `(method, points)`: `"t-SNE"` if scikit-learn is installed and there are enough
        images with different features, otherwise `"principal components"`; and a
        float array (N, 2).
    """
    # By the cosine, as kNN compares features.
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(norms, np.finfo(np.float32).tiny)
    enough = len(features) >= _FEWEST
    # scikit-learn's t-SNE crashes if all points are equal.
    differ = enough and np.ptp(unit, axis=0).max() > _SMALLEST
    if differ and importlib.util.find_spec("sklearn"):
        from sklearn.manifold import TSNE

        perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
        made = TSNE(perplexity=perplexity, init="pca", random_state=0)
        return "t-SNE", made.fit_transform(np.asarray(unit, np.float32))
    return "principal components", principal_components(features)
