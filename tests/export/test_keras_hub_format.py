"""Presets of keras_hub, loaded on two backends in processes without bt_keras."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras.cli import main
from bt_keras.networks.resnet import DEPTHS
from tests.cli.commands import one_error_line
from tests.conftest import relative_error
from tests.exported import MEAN, STD, photographs

pytestmark = pytest.mark.formats


@pytest.fixture(autouse=True, scope="module")
def resnet14():
    """Adds the smallest network of bottlenecks that keras_hub has."""
    DEPTHS[14] = ("bottleneck", (1, 1, 1, 1))
    yield
    del DEPTHS[14]


RELOAD = """
import sys
sys.modules["bt_keras"] = None
import keras, keras_hub, numpy as np
images, backend, *folders = sys.argv[1:]
images = np.load(images)
assert keras.backend.backend() == backend
for folder in folders:
    model = keras_hub.models.ImageClassifier.from_preset(folder, num_classes=10)
    normalized = model.preprocessor(images)
    features = model.pooler(model.backbone(normalized, training=False))
    backbone = keras_hub.models.Backbone.from_preset(folder)
    pooled = keras.ops.mean(backbone(normalized, training=False), axis=(1, 2))
    np.savez(
        f"{folder}-{backend}.npz",
        features=keras.ops.convert_to_numpy(features),
        backbone=keras.ops.convert_to_numpy(pooled),
        logits=model.predict(images, verbose=0),
        from_features=keras.ops.convert_to_numpy(model.output_dense(features)),
    )
before = model.backbone.get_weights()
model.fit(images, np.arange(len(images)), verbose=0)
assert all((a != b).any() for a, b in zip(before, model.backbone.get_weights()))
"""


def backbone(depth, **kwargs):
    """Builds a ResNet whose batch norm has other weights than the initial ones."""
    network, rng = bt_keras.resnet(depth, **kwargs), np.random.default_rng(0)
    for variable in network.variables:
        if len(variable.shape) == 1:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return network


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with images and two presets, and the features by bt_keras."""
    folder = tmp_path_factory.mktemp("hub")
    levels, expected = photographs(), {}
    np.save(folder / "images.npy", levels)
    normalized = ((levels / 255 - MEAN) / STD).astype("float32")
    for depth in (14, 10):
        network = backbone(depth)
        weights, preset = folder / f"{depth}.keras", folder / f"preset{depth}"
        network.save(weights)
        command = ["export", f"--input={weights}", "--format=keras_hub"]
        assert main([*command, f"--out={preset}", "--image_size=32"]) == 0
        expected[preset] = network(normalized, training=False).numpy()
    return folder, expected


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_keras_hub_loads_the_presets_and_trains(exported, backend):
    folder, expected = exported
    command = [sys.executable, "-c", RELOAD, folder / "images.npy", backend]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([*command, *expected], env=environment, cwd=folder, check=True)
    for preset, features in expected.items():
        with np.load(f"{preset}-{backend}.npz") as file:
            outputs = dict(file)
        for name in ("features", "backbone"):
            assert outputs[name].shape == features.shape
            assert relative_error(outputs[name], features) < 1e-4
        assert relative_error(outputs["logits"], outputs["from_features"]) < 1e-4


def test_images_of_one_band_with_their_own_statistics(tmp_path):
    from bt_keras.export import keras_hub_format

    network = backbone(10, input_shape=(None, None, 1))
    statistics = bt_keras.Statistics((0.3,), (0.2,))
    keras_hub_format.writer(network, 24, statistics)(tmp_path / "preset")
    images = np.random.default_rng(0).random((2, 24, 24, 1), np.float32)
    expected = network((images - np.float32(0.3)) / np.float32(0.2), training=False)
    features = keras_hub_format.features(tmp_path / "preset", images)
    assert relative_error(features, expected) < 1e-4


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"width": 0.25}, "no ResNet with width 0.25, only"),
        ({"stem": "cifar"}, "no ResNet with the CIFAR stem, only"),
        ({"width": 0.5, "stem": "cifar"}, "with width 0.5 and the CIFAR stem, only"),
        ({"features": 96}, "no ResNet with features=96, only"),
        (None, "'other' is not one of bt_keras.resnet"),
    ],
)
def test_other_networks_are_one_line(tmp_path, capsys, arguments, part):
    if arguments is None:
        images = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(64, 7, name="conv1")(images)
        x = keras.layers.GlobalAveragePooling2D()(x)
        network = keras.Model(images, x, name="other")
    else:
        network = bt_keras.resnet(10, **arguments)
    network.save(tmp_path / "weights.keras")
    command = ["export", f"--input={tmp_path / 'weights.keras'}", "--format=keras_hub"]
    one_error_line(capsys, [*command, f"--out={tmp_path / 'preset'}"], part, "--format")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.keras"]
    one_error_line(capsys, [*command, "--out=preset.keras"], "the export is a folder")
