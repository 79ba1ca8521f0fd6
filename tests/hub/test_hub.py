import json
import subprocess
import sys
import tarfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.hub import reload_difference
from bt_keras.networks import BatchNormalization

# What a user of TensorFlow Hub does, in a process that never imports bt_keras.
ELSEWHERE = """
import json, sys
import numpy as np, tensorflow as tf, tensorflow_hub as hub, tf_keras

folder, images = sys.argv[1], np.load(sys.argv[2])
module = hub.load(folder)
serve = module.signatures["serving_default"]
layer = hub.KerasLayer(folder, trainable=True)
model = tf_keras.Sequential([layer, tf_keras.layers.Dense(3)])
model.compile("adam", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
before = [v.numpy() for v in layer.weights]
model.fit(images, np.arange(len(images)) % 3, epochs=2, verbose=0)
print(json.dumps({
    "features": np.asarray(module(images, training=False)).tolist(),
    "served": np.asarray(serve(inputs=tf.constant(images))["features"]).tolist(),
    "trainable": len(module.trainable_variables),
    "variables": len(module.variables),
    "losses": len(module.regularization_losses),
    "moved": [bool(np.any(a != b.numpy())) for a, b in zip(before, layer.weights)],
    "ours": "bt_keras" in sys.modules,
}))
"""


def images(count=6):
    return np.random.default_rng(0).uniform(size=(count, 12, 14, 3)).astype("float32")


@pytest.fixture(scope="module")
def backbone():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(6, 3, 2, use_bias=False)(inputs)
    x = keras.layers.ReLU()(BatchNormalization()(x))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    model.layers[2].moving_mean.assign(np.linspace(-0.2, 0.2, 6))
    return model


@pytest.fixture(scope="module")
def module(backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "module"
    bt_keras.export_backbone(backbone, folder)
    return folder


def features(backbone, images):
    normalised = (images - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return backbone(normalised.astype("float32"), training=False).numpy()


def test_loads_serves_and_trains_in_a_process_without_bt_keras(
    backbone, module, tmp_path
):
    np.save(tmp_path / "images.npy", images())
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, module, tmp_path / "images.npy"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    expected = features(backbone, images())
    np.testing.assert_allclose(seen["features"], expected, atol=1e-6)
    np.testing.assert_allclose(seen["served"], expected, atol=1e-6)
    assert not seen["ours"]
    assert (seen["trainable"], seen["variables"], seen["losses"]) == (3, 5, 0)
    # Weights by the optimizer, statistics by training=True: all of them move.
    assert all(seen["moved"])
    assert len(seen["moved"]) == 5


def test_reload_difference_is_tiny_for_its_own_backbone_alone(backbone, module):
    assert reload_difference(backbone, module, images()) < 1e-6
    other = keras.models.clone_model(backbone)
    assert reload_difference(other, module, images()) > 1e-3


def test_load_backbone_trains_as_a_keras_layer(backbone, module):
    layer = bt_keras.load_backbone(module, trainable=True)
    np.testing.assert_allclose(layer(images()), features(backbone, images()), atol=1e-6)
    model = keras.Sequential([layer, keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    before = [w.numpy() for w in layer.weights]
    history = model.fit(images(), np.arange(6) % 3, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert all(
        np.any(a != b.numpy()) for a, b in zip(before, layer.weights, strict=True)
    )
    assert len(layer.trainable_weights) == 3


def test_a_frozen_backbone_stays_as_it_is(module):
    layer = bt_keras.load_backbone(module)
    model = keras.Sequential([layer, keras.layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [w.numpy() for w in layer.weights]
    model.fit(images(), np.arange(6) % 3, verbose=0)
    assert not layer.trainable_weights
    for a, b in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_loads_from_an_archive(backbone, module, tmp_path):
    with tarfile.open(tmp_path / "module.tar.gz", "w:gz") as archive:
        archive.add(module, arcname=".")
    layer = bt_keras.load_backbone(tmp_path / "module.tar.gz")
    np.testing.assert_allclose(layer(images()), features(backbone, images()), atol=1e-6)


def test_a_mixed_precision_backbone_gives_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    small = bt_keras.resnet(18, width=0.05, stem="cifar")
    bt_keras.export_backbone(bt_keras.BarlowTwins(small, (8,)), tmp_path / "module")
    loaded = tf.saved_model.load(tmp_path / "module")
    assert loaded(images(), training=False).dtype == tf.float32


def test_a_taken_folder_is_left_alone(backbone, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(bt_keras.UsageError, match="not empty"):
        bt_keras.export_backbone(backbone, tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(bt_keras.UsageError, match="cannot be written"):
        bt_keras.export_backbone(backbone, tmp_path / "file" / "module")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "notes.txt"]


def test_what_is_no_module_of_ours_is_named(tmp_path):
    with pytest.raises(bt_keras.UsageError, match="nowhere"):
        bt_keras.load_backbone(tmp_path / "nowhere")
    with pytest.raises(bt_keras.UsageError, match=r"saved_model\.pb"):
        bt_keras.load_backbone(tmp_path)
    plain = tf.Module()
    plain.v = tf.Variable(1.0)
    tf.saved_model.save(plain, tmp_path / "plain")
    with pytest.raises(bt_keras.UsageError, match="trainable_variables"):
        bt_keras.load_backbone(tmp_path / "plain")
    (tmp_path / "broken.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(bt_keras.UsageError, match=r"broken\.tar\.gz"):
        bt_keras.load_backbone(tmp_path / "broken.tar.gz")
