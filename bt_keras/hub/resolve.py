"""Resolve a module's handle (a folder, an archive or a URL) to a local folder."""

from __future__ import annotations

import gzip
import lzma
import os
import tarfile
import zlib
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import tensorflow as tf

from bt_keras.errors import UsageError, one_line
from bt_keras.hub import checksums, intact, wildcards

# Raised by the decompressors and tarfile for a damaged archive.
_DAMAGE = (tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError)
_CHUNK = 2**22


def resolve(
    handle: str | os.PathLike, scratch: str | os.PathLike, *, check_sums: bool = True
) -> str:
    """Finds the folder of a module.

    Args:
        handle: String or path: a SavedModel folder, a `.tar.gz` of one, a `file://`
            URL of either, or a TensorFlow Hub handle (a URL), which is downloaded once
            and cached in the folder `TFHUB_CACHE_DIR`.
        scratch: Path of an empty folder, into which an archive is unpacked.
        check_sums: Boolean, whether a module whose files differ from its SHA256SUMS is
            refused. Defaults to `True`.

    Returns:
        String, the path of the folder.

    Raises:
        UsageError: If the module does not exist, cannot be downloaded, or its archive
            is damaged or unsafe.
    """
    try:
        folder = _folder(str(handle), scratch, check_sums)
        if not tf.saved_model.contains_saved_model(folder):
            raise ValueError("it contains no saved_model.pb.")
        return wildcards.without(folder, scratch)
    # tensorflow_hub raises ValueError or RuntimeError for unknown handles.
    except (OSError, ValueError, RuntimeError, tf.errors.OpError, *_DAMAGE) as error:
        raise UsageError(
            f"module {handle} cannot be loaded: {_reason(error)}"
        ) from error


def is_local(handle: str | os.PathLike) -> bool:
    """Returns whether a handle is a local path, so that nothing is downloaded."""
    return "://" not in str(handle) or urlparse(str(handle)).scheme == "file"


def _folder(handle, scratch, check_sums):
    if not is_local(handle):
        import tensorflow_hub as hub  # Imported late: it takes a second.

        return hub.resolve(handle)
    path = _path(handle)
    if not path.exists():
        raise ValueError("no such folder or archive.")
    if path.is_dir():
        if check_sums:
            intact.check(path)
        return str(path)
    unpack(path, scratch)
    folder = _saved_model_folder(scratch)
    if check_sums and (differing := checksums.differing(folder)):
        raise ValueError(
            f"{', '.join(differing)} in the archive differs from its SHA256SUMS: "
            "download the archive again."
        )
    return folder


def _path(handle):
    path = handle
    if handle.startswith("file:"):
        url = urlparse(handle)
        if url.netloc not in ("", "localhost"):
            raise ValueError(
                f"{url.netloc!r} is another machine: write file:// followed by an "
                "absolute path, as in file:///home/me/module."
            )
        path = url2pathname(url.path)  # /C:/module is C:\\module on Windows.
    if not path:
        raise ValueError("the handle is empty.")
    return Path(path).expanduser()


def unpack(archive: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Unpacks a tar file, and refuses entries that would be written outside the folder.

    Args:
        archive: Path of a tar file, compressed or not.
        folder: Path of an existing folder.

    Raises:
        tarfile.TarError: If an entry leaves the folder or is a device, or the archive
            is damaged. `EOFError` and `zlib.error` also mean a damaged archive.
    """
    _read_to_end(archive)
    with tarfile.open(archive) as tar:
        # The filter refuses paths and links out of the folder, devices and setuid.
        tar.extractall(folder, filter="data")


def _read_to_end(archive):
    """Lets gzip verify its checksum: tarfile stops reading before it."""
    with open(archive, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    if is_gzip:
        with gzip.open(archive) as file:
            while file.read(_CHUNK):
                pass


def _saved_model_folder(folder):
    """The folder, or its only subfolder: some archives contain a top-level folder."""
    entries = list(Path(folder).iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        return str(entries[0])
    return str(folder)


def _reason(error):
    text = one_line(error, None)
    if isinstance(error, tarfile.FilterError):
        return f"the archive is not safe and was not unpacked: {text}."
    if isinstance(error, _DAMAGE):
        return f"it is not a tar archive or is damaged ({text}): download it again."
    return text
