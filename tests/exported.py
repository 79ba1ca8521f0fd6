"""One small model, exported once, for all tests of exporting and loading."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

import bt_keras
from tests import models  # noqa: F401 (registers the ResNet-10)
from tests.reference import weights

MEAN, STD = weights.IMAGENET_MEAN, weights.IMAGENET_STD


@dataclasses.dataclass(frozen=True)
class Exported:
    """An exported module and its model.

    Args:
        folder: path of the module.
        model: `bt_keras.BarlowTwins`.
        levels: uint8 array (4, 32, 32, 3).
    """

    folder: Path
    model: bt_keras.BarlowTwins
    levels: np.ndarray

    @property
    def images(self):
        """float32 array (4, 32, 32, 3) in [0, 1]."""
        return self.levels.astype("float32") / 255

    def features(self, images=None):
        """Returns the features of the model for images in [0, 1]."""
        images = self.images if images is None else images
        normalized = ((images - MEAN) / STD).astype("float32")
        return self.model(normalized, training=False).numpy()


def small_model(seed=0):
    """Builds a ResNet-10 of 4 channels with random statistics and scales."""
    keras.utils.set_random_seed(seed)
    model = bt_keras.BarlowTwins(bt_keras.resnet(10, width=1 / 16), (8, 6))
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if len(variable.shape) == 1:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def photographs(count=4, side=32):
    """Makes a uint8 array (count, side, side, 3) with the statistics of photographs."""
    images = weights.images(count, side, side, seed=1) * STD + MEAN
    return np.round(255 * images).astype("uint8")


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The module that all tests of exporting and loading share."""
    folder = tmp_path_factory.mktemp("hub") / "module"
    model, levels = small_model(), photographs()
    bt_keras.export_backbone(
        model,
        folder,
        projector=True,
        image_size=32,
        resize_ratio=1.0,
        images=list(levels),
    )
    return Exported(folder, model, levels)
