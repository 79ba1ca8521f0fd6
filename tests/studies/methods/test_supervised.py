"""The supervised loss, against the cross-entropy in NumPy in float64."""

import keras
import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.studies.methods.supervised import Supervised
from tests.models import pairs, tiny
from tests.studies.methods.rows import rows


def test_terms():
    logits = rows(width=5)
    labels = np.random.default_rng(1).integers(0, 5, len(logits[0]))
    model = Supervised(tiny().backbone, num_classes=5)
    terms = model.batch_terms((None, None), labels, logits)
    losses, hits = [], []
    for z in map(np.float64, logits):
        exponentials = np.exp(z)
        chosen = exponentials[np.arange(len(z)), labels]
        losses.append(-np.log(chosen / exponentials.sum(axis=1)))
        hits.append(z.argmax(axis=1) == labels)
    np.testing.assert_allclose(terms["loss"], np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(terms["accuracy"], np.mean(hits), rtol=1e-6)
    assert 0 < np.mean(hits) < 1


def test_the_classifier_is_linear_and_on_the_features():
    model = Supervised(tiny().backbone, (16, 16), num_classes=5)
    view = np.random.default_rng(0).normal(size=(4, 8, 8, 3))
    kernel, bias = model.projector.get_weights()
    expected = model(view) @ kernel + bias
    np.testing.assert_allclose(model.project(view), expected, rtol=1e-5, atol=1e-6)


def test_it_learns_the_labels():
    model = Supervised(tiny().backbone, num_classes=2)
    model.compile(optimizer=keras.optimizers.Adam(0.01), jit_compile=False)
    logs = model.fit(pairs(label=True), epochs=40, verbose=0).history
    assert logs["accuracy"][0] < 0.9 < logs["accuracy"][-1]
    assert set(logs) == {"loss", "accuracy"}


def test_bad_options():
    with pytest.raises(UsageError, match="num_classes=None"):
        Supervised(tiny().backbone, (16, 16))
    head = keras.Sequential([keras.layers.Dense(4)])
    with pytest.raises(UsageError, match="num_classes=5"):
        Supervised(tiny().backbone, head, num_classes=5)
    model = Supervised(tiny().backbone, num_classes=2)
    model.compile(jit_compile=False)
    with pytest.raises(UsageError, match="needs labels"):
        model.fit(pairs(), verbose=0)
