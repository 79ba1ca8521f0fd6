"""The folder `features` of a run: one folder for each split that was evaluated.

It keeps the features of one network and one version of the program. Those of others are
removed when new features are to be written: at ImageNet's size a network has 11 GB of
them. Those of other images and settings stay: the same evaluation may be repeated.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bt_keras import system
from bt_keras.errors import DAMAGE
from bt_keras.evaluation import feature_store
from bt_keras.evaluation.feature_store import Compute, StoredFeatures
from bt_keras.evaluation.features import Features
from bt_keras.files import reading
from bt_keras.workdir import writable

_READ = "read from"
# Settings that no later evaluation has again, unless packages are installed again.
_PROGRAM = ("versions", "code")
_NAME = re.compile(r"[A-Za-z0-9-]{1,40}-[0-9a-f]{16}")


class FeatureFolder:
    """Features that are computed once and kept in a folder, or not kept at all.

    Args:
        path: Optional path of the folder. Defaults to `None`: the features are kept as
            long as they are used.
        network: Dict of JSON values, what the network is. Defaults to `{}`.
        settings: Dict of JSON values, what else features depend on besides the network
            and the images. Defaults to `{}`.
        dtype: String, `"float32"` or `"float16"`. Defaults to `"float32"`.
        read_only: Boolean, whether nothing is written into the folder: features that
            are not complete there are kept as long as they are used. Defaults to
            `False`.

    Example:

    >>> from pathlib import Path
    >>> from bt_keras.evaluation.feature_folder import FeatureFolder
    >>> folder = FeatureFolder(Path("features"), network={"weights": "af01"})
    >>> blocks = [(np.ones((2, 3), "float32"), np.array([0, 1]))]
    >>> images = {"split": "test", "digest": "77b2"}
    >>> folder.features(images, (2, 3), lambda first: iter(blocks)).labels
    features of split 'test': 2 x 3, 0 MB in features/test-61f21fbfb15f3aa5
    array([0, 1])
    """

    def __init__(
        self,
        path: Path | None = None,
        network: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        dtype: str = "float32",
        read_only: bool = False,
    ):
        self._path = path
        self._network = dict(network or {})
        self._settings = dict(settings or {})
        self._dtype = dtype
        self._read_only = read_only

    def features(
        self,
        images: Mapping[str, Any] | None,
        shape: tuple[int, int],
        compute: Compute,
    ) -> Features:
        """Returns the features of a split; computes those that are missing.

        If another process computes the same features, this one waits for them, except
        with a folder that is read only.

        Args:
            images: Dict of JSON values, what the images are, with their `"split"`.
                `None` if it is unknown: the features are not kept in the folder.
            shape: Tuple of integers (N, F).
            compute: Function of the first row, an integer, that yields float32 arrays
                (M, F) and int64 labels (M,) from this row on.

        Raises:
            UsageError: If the folder cannot be written.
        """
        if self._path is None or images is None:
            return feature_store.temporary(shape, self._dtype, compute)
        title = f"features of split {images['split']!r}"
        stored = self._stored(images, shape)
        if not self._read_only:
            return self._kept(title, stored, compute)
        if stored.intact()[0] < shape[0]:
            return feature_store.temporary(shape, self._dtype, compute)
        return _opened(title, stored, _READ)

    def _kept(self, title, stored, compute):
        count = stored.shape[0]
        with writable(self._path.parent):
            self._path.mkdir(exist_ok=True)
        notice = f"{title}: another process computes them; waiting for it."
        with system.locked(_lock(stored.folder), notice):
            done, checksums = stored.intact()
            if 0 < done < count:
                print(f"{title}: continued after {done} of {count} images")
            if done == count:
                return _opened(title, stored, _READ)
            self._remove_outdated()
            stored.fill(compute, done, checksums)
            return _opened(title, stored, f"{_size(stored.folder)} in")

    def _stored(self, images, shape):
        identity = {
            "network": self._network,
            "images": images,
            "settings": self._settings,
            "shape": shape,
            "dtype": self._dtype,
        }
        text = json.dumps(identity, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        split = re.sub("[^A-Za-z0-9]+", "-", images["split"]).strip("-")[:40]
        folder = self._path / f"{split or 'images'}-{key}"
        # As it is read from a file: without tuples.
        return StoredFeatures(folder, json.loads(text), shape, self._dtype)

    def _remove_outdated(self):
        for folder in sorted(self._path.iterdir()):
            reason = _NAME.fullmatch(folder.name) and self._why_outdated(folder)
            if not reason:
                continue
            with contextlib.suppress(OSError), _lock(folder).open("ab") as file:
                if not system.try_lock(file):
                    continue  # Another process fills it.
                size = _size(folder)
                shutil.rmtree(folder, ignore_errors=True)
                print(f"removed {folder}: {size} of features of another {reason}")

    def _why_outdated(self, folder):
        network, program = _origin(folder)
        if network != self._network:
            return "network"
        return "" if program == _program(self._settings) else "version of the program"


def _opened(title, stored, how):
    features = stored.open()
    count, width = stored.shape
    print(f"{title}: {count} x {width}, {how} {stored.folder}", flush=True)
    return features


def _lock(folder):
    # Not in the folder, which may be removed, and never removed itself: other processes
    # may wait for it.
    return folder.with_name(f".{folder.name}.lock")


def _origin(folder):
    """Returns the network and the program of stored features; `None` if unknown."""
    try:
        identity = reading.read_json_object(folder / feature_store.STATE)["identity"]
        return identity["network"], _program(identity["settings"])
    except (*DAMAGE, OSError):
        return None, None


def _program(settings):
    return {name: settings[name] for name in _PROGRAM if name in settings}


def _size(folder):
    count = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
