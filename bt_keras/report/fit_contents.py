"""The contents of a page about a model that `fit` has trained, without a workdir."""

from __future__ import annotations

import functools
import math

import keras
import tensorflow as tf

from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.data import Source
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.model.view_pairs import expected_view, unpack_element
from bt_keras.report import images, network, run_files
from bt_keras.report.contents import NEED_IMAGES, Contents
from bt_keras.report.gaps import Gaps
from bt_keras.report.gather import from_samples
from bt_keras.report.log_points import log_point
from bt_keras.training import sample_views

_K, _TEMPERATURE, _BATCH = 200, 0.1, 256
_OF_WORKDIR = ("results", "throughput", "module")


def from_fit(
    model: BarlowTwins,
    history: keras.callbacks.History,
    pairs: tf.data.Dataset,
    bank: Source,
    queries: Source,
    *,
    resize_ratio: float = 1.0,
    statistics: Statistics = IMAGENET,
    name: str = "model",
) -> Contents:
    """Describes a model that `fit` has trained, as `read` describes a run.

    Args:
        model: `bt_keras.BarlowTwins` for images.
        history: `keras.callbacks.History`, what `fit` returned.
        pairs: `tf.data.Dataset` of batches of view pairs, such as `bt_keras.pairs`. C
            is that of the next batch.
        bank: `bt_keras.data.Source` of training images, from `bt_keras.data.load`.
        queries: `bt_keras.data.Source` of other images, such as test images, with the
            same classes. Both may be without labels.
        resize_ratio: Float >= 1, as in `config.evaluation`. Defaults to `1.0`.
        statistics: `bt_keras.Statistics` of the views' normalization. Defaults to
            those of ImageNet, the default of `bt_keras.views`.
        name: String, the title. Defaults to `"model"`.

    Returns:
        `Contents` without what only a workdir has. `Contents.gaps` names what cannot
        be computed, such as the spectrum of features that are not finite.
    """
    gaps = Gaps()
    gaps.reasons |= dict.fromkeys(
        _OF_WORKDIR, "it is recorded in the workdir of a run."
    )
    epochs = 1 + max(history.epoch, default=-1)  # Also if no value is finite.
    pair, _ = unpack_element(next(iter(pairs)), expected_view(model.backbone))
    size = pair[0].shape[1]
    frozen = FrozenBackbone(
        model.backbone,
        images.sample(bank, images.BANK_IMAGES),
        images.sample(queries, images.QUERY_IMAGES),
        size,
        resize_ratio,
        _BATCH,
        needs_labels=False,
        statistics=statistics,
    )
    return Contents(
        name=name,
        path="",
        recipe={},
        epochs=epochs,
        total_epochs=epochs,
        final_loss=history.history.get("loss", [math.nan])[-1],
        curves=_log(history),
        views=run_files.divide_views(sample_views.draw(pair, statistics), size),
        gaps=gaps.reasons,
        **_computed(f"epoch {epochs}", model, pair, frozen, gaps),
    )


def _computed(label, model, pair, frozen, gaps):
    """Computes C, and the parts of `Contents` that show features."""
    make = functools.partial(network.correlation, label, model, pair)
    matrix = gaps.attempt(["correlations"], make, None)
    found = {"correlations": (matrix,) if matrix else ()}
    make = functools.partial(_samples, label, frozen)
    samples = gaps.attempt(["spectra", *NEED_IMAGES], make, None)
    return found | (from_samples(samples, _K, _TEMPERATURE, gaps) if samples else {})


def _samples(label, frozen):
    return network.Samples(frozen, (network.spectrum(label, frozen.test),))


def _log(history):
    """Returns a `LogPoint` for every finite value of a history."""
    return tuple(
        log_point(metric, epoch, value)
        for metric, values in history.history.items()
        for epoch, value in zip(history.epoch, values, strict=False)
        if math.isfinite(value)
    )
