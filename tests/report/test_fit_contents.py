"""The contents of a page after a `fit` without a workdir."""

import math

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras import data
from bt_keras.report.contents import NEED_IMAGES
from bt_keras.report.fit_contents import from_fit
from bt_keras.report.html_page import render
from bt_keras.report.verdicts import verdict
from tests.evaluation.gray import gray_levels
from tests.models import tiny


@pytest.fixture(scope="module")
def fitted():
    """A model, its history, its pairs and its sources."""
    keras.utils.set_random_seed(0)
    sources = gray_levels((40, 40, 40)), gray_levels((20, 20, 20), seed=1)
    pairs = data.pairs(sources[0], bt_keras.views(8, "small"), batch_size=24)
    model = tiny()
    model.compile(optimizer=bt_keras.LARS(0.1))
    history = model.fit(pairs, validation_data=pairs, epochs=2, verbose=0)
    return model, history, pairs, sources


def test_a_fit_is_described_like_a_run(fitted):
    model, history, pairs, sources = fitted
    before = model.get_weights()
    found = from_fit(model, history, pairs, *sources, name="tiny")
    assert found.gaps.keys() == {"results", "throughput", "module"}
    logged = {(p.metric, p.images): p.value for p in found.curves if p.epoch == 2}
    assert logged["loss", "training"] == history.history["loss"][1]
    assert logged["redundancy", "held out"] == history.history["val_redundancy"][1]
    assert found.spectra[0].network == found.correlations[0].network == "epoch 2"
    assert len(found.views) == 8
    assert found.confusion.counts.sum() == 60
    # Batch norm's statistics, too.
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert "the features use" in render([found]).html


def test_a_fit_without_a_finite_loss_has_failed(fitted):
    _, _, pairs, sources = fitted
    history = keras.callbacks.History()
    history.epoch = [0, 1]
    history.history = {"loss": [math.nan, math.nan]}
    inputs = keras.Input((8, 8, 3))
    # A ReLU would replace NaN by 0.
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(6, 3)(inputs))
    model = bt_keras.BarlowTwins(keras.Model(inputs, outputs), (16, 16))
    for variable in model.backbone.variables:
        variable.assign(np.full(variable.shape, np.nan))
    found = from_fit(model, history, pairs, *sources)
    failed = "Training has failed: the loss of epoch 2 is not finite."
    assert verdict(found)[0] == failed
    assert {"correlations", "spectra", *NEED_IMAGES} <= found.gaps.keys()
