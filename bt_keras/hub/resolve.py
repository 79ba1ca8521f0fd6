"""Resolve a module's handle (a folder, archive, URL or name) to a local folder."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import tensorflow as tf

from bt_keras import published_models
from bt_keras.errors import UsageError, one_line
from bt_keras.files import storage
from bt_keras.hub import checksums, download, intact, saved_model_files, wildcards
from bt_keras.hub.member_names import UnsafeError
from bt_keras.hub.tar_members import MAX_BYTES
from bt_keras.hub.unpack import DAMAGE, unpack
from bt_keras.workdir import Workdir


def resolve(
    handle: str | os.PathLike,
    scratch: str | os.PathLike,
    *,
    max_bytes: int = MAX_BYTES,
    check_sums: bool = True,
) -> str:
    """Finds the folder of a module.

    Args:
        handle: String or path: a SavedModel folder, a `.tar.gz` of one, a `file://`
            URL of either, a path in a file system of TensorFlow (gs://bucket/module),
            which is copied each time, a TensorFlow Hub handle (a URL), which is
            downloaded once and cached in the folder `TFHUB_CACHE_DIR`, or the name of
            a published model, unless there is a file or folder of this name.
        scratch: Path of an empty folder, into which an archive is unpacked and a remote
            module is copied.
        max_bytes: Integer, the most bytes that the files of an archive may have.
            Defaults to 8 GiB.
        check_sums: Boolean, whether a module whose files differ from its SHA256SUMS is
            refused. Defaults to `True`.

    Returns:
        String, the path of the folder.

    Raises:
        UsageError: If the module does not exist, cannot be downloaded, or its archive
            is damaged or unsafe.
    """
    try:
        folder = _folder(str(handle), scratch, max_bytes, check_sums)
        if not tf.saved_model.contains_saved_model(folder):
            raise ValueError(_what_else(folder))
        return wildcards.without(folder, scratch)
    # tensorflow_hub raises ValueError or RuntimeError for unknown handles.
    except (
        *(OSError, ValueError, RuntimeError, tf.errors.OpError),
        *(UnsafeError, *DAMAGE),
    ) as error:
        raise UsageError(
            f"module {handle} cannot be loaded: {_reason(error)}"
        ) from error


def is_local(handle: str | os.PathLike) -> bool:
    """Returns whether a handle is a local path, so that nothing is downloaded."""
    return "://" not in str(handle) or urlparse(str(handle)).scheme == "file"


def is_remote_file(handle: str | os.PathLike) -> bool:
    """Returns whether a handle is a path in a file system of TensorFlow.

    TensorFlow Hub downloads http:// and https://, and archives from gs://.
    """
    name = storage.scheme(handle)
    is_archive = name == "gs" and str(handle).endswith((".tar", ".tar.gz", ".tgz"))
    return name not in ("", "http", "https") and not is_archive


def _folder(handle, scratch, max_bytes, check_sums):
    if is_remote_file(handle):
        copied = Path(scratch, "copied")
        storage.copy(handle, copied, max_bytes)
        handle = str(copied)
    elif not is_local(handle):
        folder = download.download(handle, max_bytes, check_sums)
        if check_sums:  # Also a module that has been in the cache.
            intact.check(folder)
        return folder
    path = _path(handle)
    if not path.exists():
        path = published_models.find(handle)
    if path.is_dir():
        saved_model_files.check(path)
        if check_sums:
            intact.check(path)
        return str(path)
    if path.is_file() and zipfile.is_zipfile(path):  # Opening a FIFO would wait.
        raise ValueError(
            "it is a zip file, such as a .keras file or weights: write a module with "
            "`bt-keras export`."
        )
    unpacked = Path(scratch, "unpacked")
    unpacked.mkdir()
    unpack(path, unpacked, max_bytes)
    folder = _saved_model_folder(unpacked)
    if check_sums:
        checksums.check(folder)
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


def _saved_model_folder(folder):
    """The folder, or its only subfolder: some archives contain a top-level folder."""
    entries = list(Path(folder).iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        return str(entries[0])
    return str(folder)


def _what_else(folder):
    if Workdir(folder).has_config():
        return "it is the folder of a run: write a module with `bt-keras export`."
    return "it contains no saved_model.pb."


def _reason(error):
    text = one_line(error, None)
    if isinstance(error, UnsafeError):
        return f"the archive is not safe and was not unpacked: {text}."
    if isinstance(error, DAMAGE):
        return f"it is not a tar archive or is damaged ({text}): download it again."
    return text
