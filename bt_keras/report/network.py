"""What the network of a run says: C, and the features of some of the images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import data, losses
from bt_keras.augmentation import finish_crops
from bt_keras.checkpoint import latest
from bt_keras.data import Source
from bt_keras.errors import UsageError
from bt_keras.evaluation.features import Features
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.target import target_from_workdir
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.report.contents import UNTRAINED, Correlation, Spectrum
from bt_keras.scores.rankme import EPSILON
from bt_keras.scores.spectrum import eigenvalues, entropy_rank
from bt_keras.training import setup
from bt_keras.workdir import Workdir

# View pairs, and rows and columns that the page shows of C.
_PAIRS = 256
_BLOCK = 64


@dataclasses.dataclass(frozen=True)
class Samples:
    """Images of a run and their features.

    Args:
        frozen: `FrozenBackbone`, the trained network, of training images and of others,
            the queries.
        spectra: Tuple of `Spectrum`, the untrained network's first.
        held_out: Boolean, whether the queries are not training images. Defaults to
            `True`.
    """

    frozen: FrozenBackbone
    spectra: tuple[Spectrum, ...]
    held_out: bool = True

    @property
    def bank(self) -> Source:
        """`Source` of the training images."""
        return self.frozen.train_source

    @property
    def queries(self) -> Source:
        """`Source` of the other images."""
        return self.frozen.test_source

    @property
    def bank_features(self) -> Features:
        """`Features` of the training images, which are computed when first needed."""
        return self.frozen.train

    @property
    def query_features(self) -> Features:
        """`Features` of the other images."""
        return self.frozen.test


def correlations(workdir: Workdir, config: ConfigDict) -> tuple[Correlation, ...]:
    """Computes C of the run's first view pairs, before training and after it.

    Args:
        workdir: `Workdir` of the run.
        config: `ConfigDict` of the run.

    Returns:
        Tuple of two `Correlation`s.

    Raises:
        UsageError: If there is no checkpoint, the images cannot be read, or a number
            is not finite.
    """
    trained = latest.load_model(workdir, config)
    source, views = setup.load_data(config)
    rows = min(config.batch_size, _PAIRS)
    pairs = data.pairs(source, views, rows, config.seed)
    pair = finish_crops(next(iter(pairs)))
    untrained = (UNTRAINED, latest.load_model(workdir, config, untrained=True)[1])
    networks = untrained, (f"epoch {trained[0]}", trained[1])
    return tuple(correlation(name, model, pair) for name, model in networks)


def correlation(network: str, model: BarlowTwins, pair: Sequence) -> Correlation:
    """Computes C of a batch of view pairs.

    Batch norm uses the statistics of the batch, as in training. The model stays as it
    is, also after an error.

    Args:
        network: String, the name of the network.
        model: `bt_keras.BarlowTwins`.
        pair: Tuple `(view_a, view_b)` of float32 tensors (N, H, W, C).

    Raises:
        UsageError: If C is not finite.
    """
    state = [tf.identity(variable.value) for variable in model.variables]
    try:
        embeddings = [model.project(view, training=True) for view in pair]
    finally:
        for variable, value in zip(model.variables, state, strict=True):
            variable.assign(value)
    matrix = losses.cross_correlation(*embeddings).numpy()
    return summarize(network, matrix, len(pair[0]))


def summarize(network: str, matrix: np.ndarray, pairs: int) -> Correlation:
    """Summarizes a cross-correlation matrix.

    Args:
        network: String, the name of the network.
        matrix: Float array (D, D).
        pairs: Integer, the number of view pairs.

    Raises:
        UsageError: If a number is not finite.

    Example:

    >>> from bt_keras.report.network import summarize
    >>> found = summarize("untrained", np.array([[1.0, 0.5], [0.5, 0.0]]), pairs=9)
    >>> found.diagonal, found.off_diagonal
    (0.5, 0.5)
    """
    if not np.isfinite(matrix).all():
        raise UsageError(f"C of the network ({network}) is not finite.")
    width = len(matrix)
    others = matrix[~np.eye(width, dtype=bool)]
    return Correlation(
        network,
        matrix[:_BLOCK, :_BLOCK],
        width,
        pairs,
        float(np.diag(matrix).mean()),
        float(np.sqrt(np.square(others).mean())) if len(others) else 0.0,
    )


def samples(workdir: Workdir, sources: tuple[Source, Source, bool]) -> Samples:
    """Computes or reads the features of samples of a run's images; writes nothing.

    Args:
        workdir: `Workdir` of the run.
        sources: What `bt_keras.report.images.sources` returns.

    Raises:
        UsageError: If there is no checkpoint, or an image cannot be read.
    """
    target = target_from_workdir(workdir)
    bank, queries, held_out = sources
    frozen = target.frozen(bank, queries, needs_labels=False, keep=False)
    untrained = target_from_workdir(workdir, untrained=True)
    before = untrained.frozen(queries, queries, needs_labels=False, keep=False).test
    spectra = (
        spectrum(UNTRAINED, before),
        spectrum(f"epoch {target.epoch}", frozen.test),
    )
    return Samples(frozen, spectra, held_out)


def spectrum(network: str, features: Features) -> Spectrum:
    """Computes the spectrum of features.

    Args:
        network: String, the name of the network.
        features: `Features`.
    """
    rows = features.read(0, len(features.labels))
    count, width = rows.shape
    values = np.sqrt(eigenvalues(rows))
    return Spectrum(network, values, entropy_rank(values, EPSILON), width, count)
