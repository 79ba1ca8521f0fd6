"""Sources of images, and seeded batches of view pairs."""

from bt_keras.data.from_dataset import from_dataset
from bt_keras.data.load import load
from bt_keras.data.measure import measure
from bt_keras.data.pairs import check, pairs
from bt_keras.data.source import Source

__all__ = ["Source", "check", "from_dataset", "load", "measure", "pairs"]
