"""Training on views that are no images: tensors of any rank and nests of tensors."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from tests.conftest import relative_error
from tests.models import mixed_inputs, mixed_pairs


def trained(strategy, microbatches=1):
    """Returns the logs of two epochs with held-out data, and the weights."""
    with strategy.scope():
        keras.utils.set_random_seed(3)
        model = mixed_inputs(microbatches=microbatches)
        model.compile(optimizer=bt_keras.LARS(0.5, trust_coefficient=0.1))
    data = mixed_pairs(batches=4, label=True)
    held_out = mixed_pairs(batches=1)
    history = model.fit(
        data, validation_data=held_out, epochs=2, shuffle=False, verbose=0
    )
    return history.history, model


def test_a_nest_trains_alike_on_one_device_and_two(replicas, tmp_path):
    one, model_of_one = trained(tf.distribute.get_strategy())
    two, model_of_two = trained(replicas(2))
    assert {"val_loss", "val_invariance", "val_redundancy"} < set(one)
    assert one["loss"][1] < one["loss"][0]
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-4)
    for a, b in zip(model_of_one.variables, model_of_two.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)
    view_a, view_b = next(iter(mixed_pairs(batches=1)))
    embeddings = [model_of_one.project(view) for view in (view_a, view_b)]
    expected = bt_keras.barlow_twins_loss(*embeddings)
    np.testing.assert_allclose(one["val_loss"][-1], expected, rtol=1e-5)
    for model in (model_of_one, model_of_two):
        folder = tmp_path / model.name
        model.export(folder, verbose=False)
        inputs = {"row": view_a["row"], "nested": list(view_a["nested"])}
        module = tf.saved_model.load(folder)
        features = model.predict(inputs, verbose=0)
        np.testing.assert_allclose(module.serve(inputs), features, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_microbatches_of_a_nest(jit_compile):
    """Without batch norm, the parts of a batch give the gradients of the batch."""
    # The loss does not depend on biases.
    dense = functools.partial(keras.layers.Dense, use_bias=False)
    weights = []
    for count in (1, 4):
        keras.utils.set_random_seed(0)
        row, flag = keras.Input((5,)), keras.Input((2,), dtype="bool")
        x = keras.layers.Concatenate()([row, keras.ops.cast(flag, "float32")])
        backbone = keras.Model([row, flag], dense(6)(x))
        projector = keras.Sequential([keras.Input((6,)), dense(4)])
        model = bt_keras.BarlowTwins(backbone, projector, microbatches=count)
        model.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 8, 5)).astype("float32")
        views = [[each, rng.random((8, 2)) > 0.5] for each in (a, a + b)]
        model.fit(*views, batch_size=8, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        assert relative_error(a, b) < 1e-4


def test_strings_pass_in_microbatches():
    inputs = keras.Input((1,), dtype="string")
    lookup = keras.layers.StringLookup(vocabulary=list("abcd"))
    x = keras.layers.Embedding(5, 6)(lookup(inputs))
    backbone = keras.Model(inputs, keras.layers.Flatten()(x))
    model = bt_keras.BarlowTwins(backbone, (8, 4), microbatches=2)
    model.compile("sgd", jit_compile=False)
    words = tf.constant([["a"], ["b"], ["c"], ["d"]] * 2)
    data = tf.data.Dataset.from_tensors((words, words))
    assert np.isfinite(model.fit(data, verbose=0).history["loss"][0])


@pytest.mark.parametrize("shape", [(6,), (7, 2), (4, 4, 3, 2)], ids=str)
def test_arrays_of_other_ranks(shape):
    layers = [keras.layers.Flatten(), keras.layers.Dense(6)]
    backbone = keras.Sequential([keras.Input(shape), *layers])
    model = bt_keras.BarlowTwins(backbone, (8, 4))
    model.compile("adam")
    views = np.random.default_rng(0).normal(size=(2, 16, *shape)).astype("float32")
    history = model.fit(
        views[0],
        views[0] + 0.1 * views[1],
        validation_data=tuple(views[:, :4]),
        batch_size=4,
        verbose=0,
    ).history
    assert np.isfinite(history["val_loss"][0])
    assert model.predict(views[0], verbose=0).shape == (16, 6)
    model.fit(views[0], views[1], validation_split=0.25, batch_size=4, verbose=0)


def test_a_file_and_a_checkpoint_restore_a_nest(tmp_path):
    model = mixed_inputs()
    model.compile(optimizer=bt_keras.LARS(0.2))
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="val_loss", save_best_only=True
    )
    data = mixed_pairs()
    model.fit(data, validation_data=data, callbacks=[best], shuffle=False, verbose=0)
    view = next(iter(data))[0]
    loaded = keras.models.load_model(tmp_path / "best.keras")
    np.testing.assert_array_equal(loaded(view), model(view))
    losses = [m.fit(data, shuffle=False, verbose=0).history for m in (model, loaded)]
    np.testing.assert_allclose(losses[0]["loss"], losses[1]["loss"], rtol=1e-6)


@keras.saving.register_keras_serializable("tests")
class Summed(keras.Model):
    """A backbone without a graph, of a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(6)

    def call(self, inputs, training=False):
        return self.dense(inputs["a"]) + keras.ops.mean(inputs["b"]["c"])


def test_a_subclass_of_a_nest_trains_and_is_exported(tmp_path):
    backbone = Summed()
    view = {"a": np.ones((4, 3), "float32"), "b": {"c": np.ones((4, 2), "float32")}}
    backbone(view)
    model = bt_keras.BarlowTwins(backbone, (8,))
    model.compile("sgd")
    view["a"] = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    model.fit(view, view, batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(view), model(view))
    loaded.export(tmp_path / "exported", verbose=False)
    module = tf.saved_model.load(tmp_path / "exported")
    features = model.predict(view, verbose=0)
    np.testing.assert_allclose(module.serve(view), features, rtol=1e-5)


def test_a_dataset_of_other_keys_is_one_line():
    model = mixed_inputs()
    model.compile("sgd")
    data = mixed_pairs().map(lambda a, b: (a | {"id": a["row"]}, b))
    with pytest.raises(bt_keras.UsageError, match=r"'row': \(N, 5\)") as error:
        model.fit(data, verbose=0)
    assert "\n" not in str(error.value)
