"""Checks a `.keras` file before Keras loads it: its classes, its weights, its size.

Keras's own safe mode has had gaps, and we support releases that have them: modules of
any name were imported (CVE-2025-1550), functions that download were called
(CVE-2025-8747), vocabularies (CVE-2025-12058) and weights (CVE-2026-1669) were read
from other files, and a small file could declare huge weights (CVE-2026-0897).
"""

from __future__ import annotations

import io
import os
import struct
import zipfile

import h5py
import keras

from bt_keras.errors import shown
from bt_keras.files import zip_file

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
# Functions that read or write files, or change settings.
_FORBIDDEN_MODULES = tuple(
    f"{package}.{name}"
    for package in ("keras", "keras.src")
    for name in ("config", "datasets", "export", "saving", "utils")
)
# They contain a program in another format.
_PROGRAMS = ("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "HubBackbone")
_MAX_EXCESS = 2**29  # Bytes that weights may have beyond those in the file.
_LOCAL_HEADER = struct.Struct("<26xHH")  # The lengths of a member's name and extras.


def check(path: str | os.PathLike, *, compiled: bool = True) -> None:
    """Checks that Keras can load a file without running code from elsewhere.

    Args:
        path: Path of a `.keras` file.
        compiled: Boolean, whether the optimizer and the loss will be loaded, too.
            Defaults to `True`.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it refers to classes that are neither Keras's nor registered, to
            other files, or declares more weights than it stores.
        bt_keras.errors.DAMAGE: If it is damaged.
    """
    with zip_file.opened(path) as archive:
        config = zip_file.read_json_object(archive, _CONFIG)
        if not compiled:
            config.pop("compile_config", None)
        _check_classes(config)
        if _WEIGHTS in archive.namelist():
            _check_weights(path, archive.getinfo(_WEIGHTS))


def _check_classes(value):
    if isinstance(value, list):
        for item in value:
            _check_classes(item)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("class_name"), str):
        _check_class(value)
    if isinstance(value.get("vocabulary"), str):
        raise ValueError("its vocabulary is another file")
    for item in value.values():
        _check_classes(item)


def _check_class(value):
    name, module = value["class_name"], value.get("module")
    if name in _PROGRAMS:
        raise ValueError(f"a layer is a program ({name}), which is not loaded")
    if module is None or module == "builtins":
        return
    full_name = shown(f"{module}.{name}")
    if not isinstance(module, str) or f"{module}.".startswith(
        tuple(f"{forbidden}." for forbidden in _FORBIDDEN_MODULES)
    ):
        raise ValueError(f"it refers to {full_name}, which is not part of a model")
    if module.split(".")[0] in ("keras", "bt_keras"):
        return
    registered = value.get("registered_name")
    names = [n for n in (registered, name) if isinstance(n, str)]
    if not any(keras.saving.get_registered_object(n) for n in names):
        raise ValueError(
            f"it refers to {full_name}, which is not registered: import the module "
            "that defines it first"
        )


def _check_weights(path, member):
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{_WEIGHTS} is compressed")
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        lengths = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(sum(lengths), os.SEEK_CUR)
        with h5py.File(_Window(file, file.tell(), member.file_size), "r") as weights:
            # h5py cannot pass on exceptions from what it calls.
            if name := weights.visititems_links(_link):
                raise ValueError(f"{shown(name)} in {_WEIGHTS} is a link")
            if name := weights.visititems(_elsewhere):
                raise ValueError(f"{shown(name)} in {_WEIGHTS} is in another file")
            excess: list[int] = []
            weights.visititems(lambda _, item: excess.append(_excess(item)))
            if sum(excess) > _MAX_EXCESS:
                raise ValueError(f"{_WEIGHTS} declares more weights than it stores")


def _link(name, link):
    return None if isinstance(link, h5py.HardLink) else name


def _elsewhere(name, item):
    is_array = isinstance(item, h5py.Dataset)
    return name if is_array and (item.external or item.is_virtual) else None


def _excess(item):
    """Returns how many bytes a data set has that are not in the file."""
    is_array = isinstance(item, h5py.Dataset)
    return max(item.nbytes - item.id.get_storage_size(), 0) if is_array else 0


class _Window(io.RawIOBase):
    """A part of a file as a file: zipfile's own cannot seek backwards fast."""

    def __init__(self, file, start, size):
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        origins = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        self._position = origins[whence] + offset
        return self._position

    def tell(self):
        return self._position

    def readinto(self, buffer):
        size = max(min(len(buffer), self._size - self._position), 0)
        self._file.seek(self._start + self._position)
        count = self._file.readinto(memoryview(buffer)[:size])
        self._position += count
        return count
