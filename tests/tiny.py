"""A run on real image files that trains in seconds."""

import numpy as np
import tensorflow as tf

# The network of two residual blocks is registered here too, because other processes do
# not import the tests.
CONFIG = """
from bt_keras.config import default
from bt_keras.networks.resnet import DEPTHS

DEPTHS[6] = ("basic", (1, 1))

def get_config():
    config = default()
    config.data.source = {source!r}
    config.data.test_split = "test"
    config.views.size = 8
    config.views.recipe = "small"
    config.backbone.depth = {depth}
    config.backbone.width = 0.1
    config.backbone.stem = "cifar"
    config.projector = (8, 8)
    config.batch_size = 8
    config.epochs = 2
    config.precision = "float32"
    config.optimizer.warmup_epochs = 1.0
    # High enough for the scales that start at zero: every kernel gets a gradient.
    config.optimizer.bias_learning_rate = 1.0
    config.evaluation.resize_ratio = 1.0
    config.evaluation.linear.epochs = 2
    for training in (config.evaluation.semi, config.evaluation.finetune):
        training.epochs = 1
        training.batch_size = 6
    return config
"""


def write_images(folder, per_class=9, classes=("dark", "light"), size=10):
    """Writes PNG files into train/ and test/, one subfolder per class.

    The classes differ in brightness.
    """
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for index, name in enumerate(classes):
            path = folder / split / name
            path.mkdir(parents=True)
            for number in range(per_class):
                levels = rng.integers(0, 80, (size, size, 3)) + 150 * index
                png = tf.io.encode_png(levels.astype("uint8"))
                tf.io.write_file(str(path / f"{number}.png"), png)
    return folder


def write_config(path, source, depth=6):
    """Writes a config file that trains on the folder of `write_images`."""
    path.write_text(CONFIG.format(source=str(source), depth=depth))
    return path
