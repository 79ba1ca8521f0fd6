"""Modules of images of other than three bands, and of other statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.errors import UsageError
from bt_keras.export import verify
from bt_keras.hub import read_backbone
from tests import models  # noqa: F401 (registers the ResNet-6)
from tests.conftest import relative_error

RNG = np.random.default_rng(0)


def statistics_of(channels):
    pair = np.linspace(0.2, 0.6, channels), np.linspace(0.1, 0.3, channels)
    return bt_keras.Statistics(*(tuple(numbers.tolist()) for numbers in pair))


def export(folder, channels, **arguments):
    """Exports a small backbone; returns it with images and their features."""
    keras.utils.set_random_seed(0)
    backbone = bt_keras.resnet(
        6, width=0.1, stem="cifar", input_shape=(None, None, channels)
    )
    statistics = statistics_of(channels)
    levels = RNG.integers(0, 256, (3, 16, 16, channels), np.uint8)
    arguments = {"images": list(levels), "image_size": 16, "resize_ratio": 1.0}
    bt_keras.export_backbone(backbone, folder, statistics=statistics, **arguments)
    images = levels.astype("float32") / 255
    normalized = (images - statistics.mean) / statistics.deviation
    return backbone, levels, images, backbone(normalized.astype("float32")).numpy()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_module_normalizes_with_its_statistics(tmp_path, channels):
    folder = tmp_path / "module"
    _, levels, images, expected = export(folder, channels)
    module = tf.saved_model.load(folder)
    assert relative_error(module(images), expected) < 1e-5
    served = module.signatures["uint8"](inputs=tf.constant(levels))
    assert relative_error(served["features"], expected) < 1e-5
    assert ("encoded" in module.signatures) == (channels in (1, 3))
    if channels in (1, 3):
        files = tf.stack([tf.io.encode_png(image) for image in levels])
        served = module.signatures["encoded"](inputs=files)
        assert relative_error(served["features"], expected) < 1e-5
    assert read_backbone(folder)[1].normalization == statistics_of(channels)
    card = (folder / "README.md").read_text()
    kind = {1: "gray images", 3: "RGB images", 5: "images of 5 bands"}[channels]
    assert kind in card
    assert f"(N, H, W, {channels})" in card
    assert "mean 0.2" in card


def test_a_loaded_backbone_keeps_the_statistics(tmp_path):
    _, _, images, expected = export(tmp_path / "module", 5)
    loaded = bt_keras.load_backbone(tmp_path / "module", trainable=True)
    assert relative_error(loaded(images), expected) < 1e-5
    loaded.save(tmp_path / "loaded.keras")
    restored = keras.models.load_model(tmp_path / "loaded.keras")
    assert relative_error(restored(images), expected) < 1e-5
    with pytest.raises(UsageError, match=r"\(N, H, W, 5\).* images of 5 bands"):
        loaded(images[..., :3])
    # Also after more training.
    model = bt_keras.BarlowTwins(loaded, projector=(8, 8))
    bt_keras.export_backbone(model, tmp_path / "again")
    again = tf.saved_model.load(tmp_path / "again")
    assert relative_error(again(images), expected) < 1e-5


def test_statistics_that_do_not_fit_are_refused(tmp_path):
    backbone = bt_keras.resnet(6, width=0.1, input_shape=(None, None, 5))
    for given, found in ((None, 3), (statistics_of(2), 2)):
        message = rf"takes images of 5 bands, but the statistics are of {found}: give"
        with pytest.raises(UsageError, match=message):
            bt_keras.export_backbone(backbone, tmp_path / "module", statistics=given)
    with pytest.raises(UsageError, match=r"arrays \(H, W, 5\)"):
        bt_keras.export_backbone(
            backbone,
            tmp_path / "module",
            statistics=statistics_of(5),
            images=[np.zeros((8, 8, 3), np.uint8)],
        )
    assert not (tmp_path / "module").exists()


@pytest.mark.slow  # Starts a process.
@pytest.mark.parametrize("channels", [1, 5])
def test_verify_passes(tmp_path, channels):
    export(tmp_path / "module", channels)
    assert all(check.passed for check in verify.verify(tmp_path / "module"))
