"""A run so small that it trains in seconds, on real image files."""

import numpy as np
import tensorflow as tf

CONFIG = """
from bt_keras.config import default

def get_config():
    config = default()
    config.data.source = {source!r}
    config.data.test_split = "test"
    config.views.size = 8
    config.views.recipe = "small"
    config.backbone.depth = 18
    config.backbone.width = 0.05
    config.backbone.stem = "cifar"
    config.projector = (8, 8)
    config.batch_size = 8
    config.epochs = 2
    config.precision = "float32"
    config.optimizer.warmup_epochs = 1.0
    config.evaluation.resize_ratio = 1.0
    config.evaluation.linear.epochs = 2
    return config
"""


def write_images(folder, per_class=9, classes=("dark", "light"), size=10):
    """PNG files in train/ and test/, a subfolder a class, told apart by brightness."""
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


def write_config(path, source):
    """A recipe for `write_images`' folder."""
    path.write_text(CONFIG.format(source=str(source)))
    return path
