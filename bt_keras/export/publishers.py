"""The hosts that modules are published on, by the names that `--publish` takes."""

from __future__ import annotations

from bt_keras.export.huggingface import HuggingFace
from bt_keras.export.kaggle import Kaggle
from bt_keras.export.publisher import Publisher

PUBLISHERS: dict[str, Publisher] = {
    "kaggle": Kaggle(),
    "huggingface": HuggingFace(),
}
