"""What every method has to do: train on replicas as on one device, save and load."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.studies.methods.asymmetric import Asymmetric
from bt_keras.studies.methods.byol import BYOL
from bt_keras.studies.methods.loss_variants import LossVariant
from bt_keras.studies.methods.mixed import MixedBarlowTwins
from bt_keras.studies.methods.simclr import SimCLR
from bt_keras.studies.methods.simsiam import SimSiam
from bt_keras.studies.methods.supervised import Supervised
from bt_keras.studies.methods.swav import SwAV
from bt_keras.studies.methods.vicreg import VICReg
from tests.models import pairs, tiny

# A fresh projector: a part of a model belongs to one model.
METHODS = {
    "features": functools.partial(LossVariant, normalization="features"),
    "covariance": functools.partial(
        LossVariant, normalization="centered", batch_norm=False
    ),
    "cross-entropy": functools.partial(LossVariant, objective="cross_entropy"),
    "stop-gradient": functools.partial(Asymmetric, stop_gradient=True),
    "predictor": functools.partial(Asymmetric, predictor_width=8),
    "simclr": functools.partial(SimCLR),
    "vicreg": functools.partial(VICReg),
    "simsiam": functools.partial(SimSiam, predictor_width=8),
    "byol": functools.partial(BYOL, predictor_width=8, momentum=0.5),
    "mixed": functools.partial(MixedBarlowTwins),
    "supervised": functools.partial(Supervised, num_classes=3),
    "swav": functools.partial(SwAV, num_prototypes=6),
}
every_method = pytest.mark.parametrize("method", METHODS)


def data(method):
    return pairs(label=METHODS[method].func.needs_labels)


def trained(method, strategy=None, **kwargs):
    """Trains for two steps; returns the model and its logs."""
    keras.utils.set_random_seed(0)
    with (strategy or tf.distribute.get_strategy()).scope():
        model = METHODS[method](tiny().backbone, (16, 16), **kwargs)
        # Plain SGD shows every gradient; LARS would hide its scale.
        model.compile(optimizer=keras.optimizers.SGD(0.01), jit_compile=False)
    history = model.fit(data(method), epochs=2, verbose=0)
    return model, history.history


def numbers_of(model):
    parts = ("name", "backbone", "projector")
    return {k: v for k, v in model.get_config().items() if k not in parts}


@every_method
def test_two_replicas_train_like_one(method, replicas):
    one, logs = trained(method)
    two, logs_of_two = trained(method, replicas(2))
    assert logs.keys() == logs_of_two.keys()
    for name, values in logs.items():
        np.testing.assert_allclose(values, logs_of_two[name], rtol=1e-4, err_msg=name)
    for ours, theirs in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "microbatches"),
    # Mixed Barlow Twins refuses micro-batches, see test_mixed.py.
    [*((m, 1) for m in METHODS), *((m, 2) for m in METHODS if m != "mixed")],
)
def test_every_weight_trains(method, microbatches):
    keras.utils.set_random_seed(0)
    untrained = METHODS[method](tiny().backbone, (16, 16))
    model, logs = trained(method, microbatches=microbatches)
    assert logs.keys() == set(model.log_names)
    assert np.isfinite([*logs.values()]).all()
    for before, after in zip(
        untrained.trainable_variables, model.trainable_variables, strict=True
    ):
        assert (np.asarray(before) != np.asarray(after)).any(), after.path


@every_method
def test_a_saved_model_trains_on_with_the_same_bits(method, tmp_path):
    model, _ = trained(method)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert numbers_of(loaded) == numbers_of(model)
    for each in (model, loaded):
        each.fit(data(method), verbose=0)
    for ours, theirs in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@every_method
def test_evaluate_changes_nothing(method):
    model, logs = trained(method)
    before = [np.asarray(variable) for variable in model.variables]
    values = model.evaluate(data(method), verbose=0, return_dict=True)
    assert values.keys() == logs.keys()
    assert np.isfinite([*values.values()]).all()
    metrics = {id(v) for metric in model.metrics for v in metric.variables}
    for old, variable in zip(before, model.variables, strict=True):
        if id(variable) not in metrics:
            np.testing.assert_array_equal(old, variable, err_msg=variable.path)


@pytest.mark.parametrize("method", ["predictor", "byol", "swav"])
def test_weights_of_the_loss_have_the_same_gradients_in_micro_batches(method):
    def made(microbatches):
        keras.utils.set_random_seed(0)
        # Without batch norm, whose statistics are those of the micro-batches.
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(6, 3, 2, activation="relu")(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        parts = keras.Model(inputs, x), (12,)
        model = METHODS[method](*parts, microbatches=microbatches)
        model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
        model.fit(data(method), verbose=0)
        return model

    for whole, parts in zip(made(1).variables, made(4).variables, strict=True):
        np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-6)
