"""Backbones and projectors that `fit` would not train, or that do not fit."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import BarlowTwins, UsageError
from tests.models import Subclass, pairs, tiny


def pooled(*layers):
    """A built network from images to features with the given layers at its end."""
    images = [keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([*images, *layers])


class Module(tf.Module):
    """Stands for a layer of tf-keras: its variables are those of TensorFlow."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(tf.ones((3, 4)))

    def __call__(self, x):
        return x @ self.kernel


class Holder(keras.layers.Layer):
    """A layer of Keras 3 with something of TensorFlow in an attribute."""

    def __init__(self, held):
        super().__init__()
        self.held = held

    def call(self, x):
        return x


def frozen():
    model = pooled(keras.layers.Dense(4))
    model.trainable = False
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bt_keras.resnet, "backbone=the function resnet must be a model"),
        (lambda: keras.layers.Dense, "backbone=the class Dense must be a model"),
        (lambda: "resnet50", "backbone='resnet50' must be a model"),
        (lambda: None, "backbone=None must be a model"),
        (lambda: (512, 512), r"backbone=(512, 512) must be a model"),
        (Module, "is a Module of tf-keras or TensorFlow"),
        (lambda: pooled(Holder(Module())), "holds a Module of TensorFlow"),
        (lambda: pooled(Holder([Module()])), "holds a Module of TensorFlow"),
        (lambda: pooled(Holder(tf.Variable(1.0))), "holds a ResourceVariable"),
        (lambda: pooled(keras.layers.Lambda(Module())), "holds a Module"),
        (frozen, "has no trainable weights, so that `fit` would not train it"),
        (pooled, "has no trainable weights"),
        (lambda: pooled(Holder(tf.Variable(1, trainable=False))), "no trainable"),
        (
            lambda: keras.Sequential([keras.Input((8, 2)), keras.layers.Dense(4)]),
            "add keras.layers.GlobalAveragePooling1D()",
        ),
        (Subclass, "is not built"),
        (
            lambda: pooled(keras.layers.Dense(4, "softmax", name="classes")),
            "its layer 'classes' returns probabilities of classes. Leave out",
        ),
        (
            lambda: pooled(keras.layers.Dense(4), keras.layers.Softmax()),
            "is a classifier",
        ),
        (
            lambda: keras.Sequential(
                [
                    keras.Input((32, 32, 3)),
                    keras.applications.MobileNetV2(
                        (32, 32, 3), alpha=0.35, weights=None, pooling="avg"
                    ),
                ]
            ),
            "its layer 'predictions' returns probabilities",
        ),
    ],
)
def test_backbones_that_would_not_train_are_refused_in_one_line(make, message):
    with pytest.raises(UsageError) as error:
        BarlowTwins(make(), (8,))
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_tf_keras_and_hub_layers_are_refused(tmp_path):
    hub = pytest.importorskip("tensorflow_hub")
    tf_keras = pytest.importorskip("tf_keras")
    images = tf_keras.Input((8, 8, 3))
    x = tf_keras.layers.GlobalAveragePooling2D()(images)
    model = tf_keras.Model(images, tf_keras.layers.Dense(4)(x))
    tf.saved_model.save(model, str(tmp_path))
    for backbone in (model, hub.KerasLayer(str(tmp_path), trainable=True)):
        with pytest.raises(UsageError, match=r"^the backbone is a [^\n]* of tf-keras"):
            BarlowTwins(backbone, (8,))


@pytest.mark.parametrize(
    ("projector", "message"),
    [
        (512, "projector=512 must be one or more positive ints"),
        ("512", "projector='512' must be"),
        ((), "projector=() must be"),
        ((8, 0), "projector=(8, 0) must be"),
        ((8, -1), "projector=(8, -1) must be"),
        ([8.0], "projector=[8.0] must be"),
        ((True,), "projector=(True,"),
        (None, "projector=None must be"),
        (keras.layers.Dense, "projector=the class Dense must be"),
        (Module(), "the projector is a Module of tf-keras"),
        (
            keras.Sequential([keras.Input((9,)), keras.layers.Dense(4)]),
            "takes (None, 9), but the backbone's features are (N, 4)",
        ),
        (
            keras.Sequential([keras.Input((4,)), keras.layers.Reshape((2, 2))]),
            "must return embeddings (N, D)",
        ),
    ],
)
def test_projectors_that_do_not_fit(projector, message):
    with pytest.raises(UsageError) as error:
        BarlowTwins(pooled(keras.layers.Dense(4)), projector)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_widths_of_numpy_are_accepted():
    model = BarlowTwins(pooled(keras.layers.Dense(4)), np.array([8, 6]))
    assert model.projector.output_shape == (None, 6)


@pytest.mark.parametrize(
    "argument",
    [
        {"lambd": -1},
        {"lambd": float("nan")},
        {"lambd": float("inf")},
        {"lambd": "x"},
        {"lambd": None},
        {"lambd": True},
        {"implementation": "foo"},
        {"implementation": 3},
        {"microbatches": 0},
        {"microbatches": 2.0},
        {"microbatches": True},
    ],
    ids=str,
)
def test_other_arguments(argument):
    (name,) = argument
    with pytest.raises(UsageError, match=rf"^{name}=[^\n]*$"):
        BarlowTwins(pooled(keras.layers.Dense(4)), (8,), **argument)


def test_freezing_after_the_start_is_noticed_by_fit_and_survives_saving(tmp_path):
    model = tiny()
    model.compile("sgd")
    model.backbone.trainable = False
    with pytest.raises(UsageError, match="no trainable weights"):
        model.fit(pairs(), shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert not loaded.backbone.trainable_variables


@pytest.mark.parametrize("inside", [True, False])
def test_parts_of_another_scope_are_refused(replicas, inside):
    backbone = pooled(keras.layers.Dense(4))
    projector = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    strategy = replicas(2)
    with strategy.scope():
        mirrored = pooled(keras.layers.Dense(4))
    parts = [(backbone, (8,)), (mirrored, projector)]
    if not inside:
        parts = [(mirrored, (8,))]
    for arguments in parts:
        scope = strategy.scope() if inside else contextlib.nullcontext()
        match = r"^the \w+ 's[^\n]* outside the scope"
        with scope, pytest.raises(UsageError, match=match):
            BarlowTwins(*arguments)


def test_an_optimizer_of_another_scope_is_refused(replicas):
    optimizer = bt_keras.LARS(0.1)
    with replicas(2).scope():
        model = tiny()
        with pytest.raises(
            UsageError, match=r"^the optimizer 'lars\w*' was made outside"
        ):
            model.compile(optimizer)


def test_a_network_of_images_that_rescales_them_is_warned_of(caplog):
    rescaling = keras.layers.Rescaling(1 / 255, name="to_one")
    network = pooled(keras.layers.Dense(4))
    BarlowTwins(keras.Sequential([keras.Input((8, 8, 3)), rescaling, network]), (8,))
    assert "rescales images inside (its layer 'to_one')" in caplog.text
    caplog.clear()
    # Tables are often normalized inside: their views are the user's.
    normalization = keras.layers.Normalization(mean=0.5, variance=0.1)
    rows = [keras.Input((6,)), normalization, keras.layers.Dense(4)]
    BarlowTwins(keras.Sequential(rows), (8,))
    BarlowTwins(network, (8,))
    assert not caplog.text
