"""What features depend on, in JSON values: the network, the images, the settings."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL
from ml_collections import ConfigDict

import bt_keras
from bt_keras.checkpoint import store
from bt_keras.data import Source
from bt_keras.data.from_config import evaluation_size

# Folders of the package whose code features depend on.
CODE = ("augmentation", "data", "networks")


def of_network(backbone: keras.Model) -> dict[str, Any]:
    """Describes a network by its architecture and its weights.

    Args:
        backbone: `keras.Model` that can be saved.

    Returns:
        Dict of JSON values, the same for a network that was saved and loaded.

    Example:

    >>> from bt_keras.evaluation import feature_identity
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> copy = keras.models.clone_model(backbone)
    >>> copy.set_weights(backbone.get_weights())
    >>> feature_identity.of_network(copy) == feature_identity.of_network(backbone)
    True
    """
    weights = hashlib.sha256()
    for value in backbone.get_weights():
        weights.update(f"{value.dtype} {value.shape} ".encode())
        weights.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    return {
        "architecture": _sha256(backbone.to_json().encode()),
        "weights": weights.hexdigest(),
    }


def of_images(source: Source) -> dict[str, Any] | None:
    """Describes the images of a source without reading them.

    Args:
        source: `bt_keras.data.Source`.

    Returns:
        Dict of JSON values, `None` if it is not known which images they are.
    """
    if source.digest is None:
        return None
    known = source.fingerprints is not None
    return {
        "source": source.name,
        "split": source.split,
        "images": source.num_images,
        "names and sizes": source.digest,
        "contents": _sha256(np.asarray(source.fingerprints)) if known else None,
        # A data set that is rebuilt may have other labels in files of the same size.
        "times": list(source.times),
        "classes": _sha256(json.dumps(source.class_names).encode()),
    }


def of_settings(config: ConfigDict, code: Sequence[str] = CODE) -> dict[str, Any]:
    """Describes how a config reads and prepares images, and the versions of packages.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        code: Sequence of strings, folders of the package whose code matters. Defaults
            to `CODE`: that of images and networks.
    """
    return {
        "size": evaluation_size(config),
        "resize_ratio": config.evaluation.resize_ratio,
        "bits": config.data.bits,
        "mean": list(map(float, config.data.mean)),
        "deviation": list(map(float, config.data.deviation)),
        "precision": config.precision,
        "versions": store.versions() | {"pillow": PIL.__version__},
        "code": code_digest(tuple(code)),
    }


@functools.cache
def code_digest(folders: tuple[str, ...] = CODE) -> str:
    """Returns a digest of the modules in folders of the package.

    The version of bt_keras does not change with each of their changes.

    Args:
        folders: Tuple of strings. Defaults to `CODE`.
    """
    root = Path(bt_keras.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(p for name in folders for p in (root / name).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
