"""CLID: cluster learnability and intrinsic dimension."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from bt_keras import checks
from bt_keras.scores.intrinsic_dimension import two_nn
from bt_keras.scores.k_means import k_means
from bt_keras.scores.nearest_rows import nearest, unit_rows
from bt_keras.scores.rows import blocks, check_rows, resolution, spaced

SAMPLES = 10_000


class Clid(NamedTuple):
    """The two parts of CLID.

    Args:
        learnability: Float in [0, 1], the accuracy of kNN on the labels of k-means.
        dimension: Float >= 0, the intrinsic dimension of the features.
    """

    learnability: float
    dimension: float


def clid(
    features: Any,
    clusters: int | None = None,
    samples: int | None = SAMPLES,
    seed: int = 0,
) -> Clid:
    """Computes the parts of CLID (Lu et al., arXiv 2206.01251, section 3).

    Good features are learnable and expressive. On unit rows:

    - Learnability: k-means labels the rows; half of the rows, drawn at random,
      predict the labels of the other half by their nearest neighbor, and vice versa.
      The mean accuracy of both halves is returned.
    - Dimension: TwoNN (Facco et al., 2017).

    The paper adds both, brought to one scale over the models that are compared:
    alone, the learnability is best for collapsed features. `bt-keras compare` adds
    them after division by their standard deviation over the runs.

    This differs from the paper's experiments: earlier versions measure the
    learnability in the order of the data; the k-means is this library's own, one run
    of Lloyd's iterations from k-means++; the samples are fewer.

    Args:
        features: Array (N, F) of numbers, N >= 4.
        clusters: Optional integer in [1, N]. Defaults to `None`: the square root of
            the number of rows.
        samples: Optional integer > 3: evenly spaced rows to use if there are more,
            `None` for all rows. The time grows with its square. Defaults to `10000`.
        seed: Integer. Seeds k-means and the halves. Defaults to `0`.

    Returns:
        `Clid`. Collapsed features have the learnability 1 and the dimension 0.

    Raises:
        UsageError: If the features are not such an array, a number is not finite, or
            another argument is out of range.

    Example:

    >>> from bt_keras import scores
    >>> features = np.random.default_rng(0).normal(size=(500, 3))
    >>> parts = scores.clid(features)
    >>> 0.5 < parts.learnability < 1, 1.7 < parts.dimension < 2.3  # A sphere.
    (True, True)
    """
    array = check_rows("features", features, least=4)
    if samples is not None:
        kind = checks.Number(4, integer=True)
        samples = checks.number("samples", samples, kind)
    seed = checks.number("seed", seed, checks.SEED)
    unit = unit_rows(np.concatenate(list(blocks(spaced(array, samples)))))
    if clusters is not None:
        kind = checks.Number(1, len(unit), integer=True)
        clusters = checks.number("clusters", clusters, kind)
    labels = k_means(unit, clusters or math.isqrt(len(unit)), seed)
    order = np.random.default_rng(seed).permutation(len(unit))
    halves = np.array_split(order, 2)
    hits = [
        labels[bank][nearest(unit[queries], unit[bank], 1)[:, 0]] == labels[queries]
        for queries, bank in (halves, halves[::-1])
    ]
    return Clid(float(np.concatenate(hits).mean()), two_nn(unit, resolution(array)))
