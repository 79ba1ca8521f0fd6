import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import UsageError
from bt_keras.callbacks import OnlineLinearProbe
from tests.callbacks import labeled
from tests.models import pairs as unlabeled_pairs

RATE = 0.05


def probe(classes=labeled.CLASSES, **kwargs):
    return OnlineLinearProbe(classes, RATE, **kwargs)


@pytest.fixture(scope="module")
def plain():
    model = labeled.compiled()
    return model, labeled.fit(model)


@pytest.mark.parametrize(
    "settings", [{}, {"run_eagerly": True}], ids=["graph", "eager"]
)
def test_the_model_does_not_learn_from_the_labels(plain, settings):
    reference, history = plain
    if settings:
        reference = labeled.compiled(**settings)
        history = labeled.fit(reference)
    model = labeled.compiled(**settings)
    logs = labeled.fit(model, probe())
    assert logs.pop("probe_top1")[-1] > 1 / labeled.CLASSES
    assert logs == history
    for value, expected in zip(
        labeled.state(model), labeled.state(reference), strict=True
    ):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.slow
def test_the_model_is_the_same_with_xla():
    models = [labeled.compiled(jit_compile=True) for _ in range(2)]
    labeled.fit(models[0])
    history = labeled.fit(models[1], probe())
    assert history["probe_top1"][-1] > 1 / labeled.CLASSES
    for value, expected in zip(*map(labeled.state, models), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_held_out_images_are_classified_after_the_epoch(kind):
    images, labels = labeled.images(10, seed=7)
    validation = (images, labels)
    if kind == "dataset":
        validation = tf.data.Dataset.from_tensor_slices(validation).batch(4)
    model, ours = labeled.compiled(), probe(validation=validation)
    history = labeled.fit(model, ours, validation_data=labeled.pairs(8))
    weights, bias = ours.observer.layer.get_weights()
    classes = (np.asarray(model(images)) @ weights + bias).argmax(axis=1)
    expected = (classes == labels).mean()
    assert history["val_probe_top1"][-1] == pytest.approx(expected)
    assert "val_loss" in history


def test_validation_data_with_labels_are_classified():
    data = labeled.pairs(8, seed=3)
    model, ours = labeled.compiled(), probe()
    history = labeled.fit(model, ours, validation_data=data)
    weights, bias = ours.observer.layer.get_weights()
    [((view_a, view_b), labels)] = list(data)
    features = np.concatenate([model(view_a), model(view_b)])
    hits = (features @ weights + bias).argmax(axis=1) == np.tile(labels, 2)
    assert history["val_probe_top1"][-1] == pytest.approx(hits.mean())
    # Without labels, there is nothing to measure.
    history = labeled.fit(model, probe(), validation_data=unlabeled_pairs(1))
    assert "val_probe_top1" not in history


def test_two_probes_and_a_second_fit():
    model, first = labeled.compiled(), probe()
    history = labeled.fit(model, first, probe(name="other"))
    assert history["probe_top1"] == history["other_top1"]
    steps = int(first.observer.optimizer.iterations.numpy())
    labeled.fit(model, first)
    assert int(first.observer.optimizer.iterations.numpy()) == 2 * steps == 12
    assert "probe_top1" not in labeled.fit(model)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_classes": 1}, "num_classes=1 must be"),
        ({"num_classes": "10"}, "num_classes='10' must be"),
        ({"num_classes": 3, "learning_rate": 0}, "learning_rate=0 must be"),
        ({"num_classes": 3, "name": "a/b"}, "name='a/b' of OnlineLinearProbe"),
        ({"num_classes": 3, "validation": 5}, r"validation=...\) must be"),
    ],
)
def test_arguments_are_checked(kwargs, message):
    with pytest.raises(UsageError, match=message):
        OnlineLinearProbe(**kwargs)


def one_line(error):
    return "\n" not in str(error.value)


def test_data_without_labels_are_one_line():
    with pytest.raises(UsageError, match=r"needs labels.*labels=True") as error:
        labeled.fit(labeled.compiled(), probe(), data=unlabeled_pairs())
    assert one_line(error)


@pytest.mark.parametrize(
    "change", [lambda labels: labels + 1, lambda labels: labels - 1]
)
def test_labels_out_of_range_are_one_line(change):
    with pytest.raises(UsageError, match=r"outside of \[0, 3\)") as error:
        labeled.fit(labeled.compiled(), probe(), data=labeled.pairs(change=change))
    assert one_line(error)


def test_held_out_labels_out_of_range_are_one_line():
    images, labels = labeled.images(10)
    with pytest.raises(UsageError, match=r"outside of \[0, 3\)"):
        labeled.fit(labeled.compiled(), probe(validation=(images, labels + 2)))


def test_another_model_is_one_line():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(UsageError, match=r"in the fit of a bt_keras\.BarlowTwins"):
        model.fit(np.ones((2, 1)), np.ones((2, 1)), callbacks=[probe()], verbose=0)


def test_the_callbacks_are_public():
    assert bt_keras.callbacks.OnlineLinearProbe is OnlineLinearProbe
