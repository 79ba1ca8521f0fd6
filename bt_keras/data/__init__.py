"""From the name of a source of images to seeded batches of view pairs."""

from bt_keras.data.pairs import check, pairs
from bt_keras.data.source import Source
from bt_keras.data.sources import from_dataset, load

__all__ = ["Source", "check", "from_dataset", "load", "pairs"]
