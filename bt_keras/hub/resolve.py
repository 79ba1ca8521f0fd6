"""From a handle to the folder of a SavedModel: folders, archives, URLs, hub's cache."""

import gzip
import lzma
import tarfile
import zlib
from pathlib import Path
from urllib.parse import unquote, urlparse

import tensorflow as tf

from bt_keras.errors import UsageError, one_line
from bt_keras.hub import checksums

# What the decompressors and tarfile say of an archive that is not whole.
_DAMAGE = (tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError)
_CHUNK = 2**22


def resolve(handle, scratch):
    """Finds the folder of a module.

    Args:
        handle: str or path: the folder of a SavedModel, a `.tar.gz` of one, `file://`
            and either of them, or a handle of TensorFlow Hub (a URL), which is
            downloaded once, or found in the folder that `TFHUB_CACHE_DIR` names.
        scratch: path of an empty folder, into which an archive is unpacked.

    Returns:
        str, the folder.

    Raises:
        UsageError: if there is no such module.
    """
    try:
        folder = _folder(str(handle), scratch)
        if not tf.saved_model.contains_saved_model(folder):
            raise ValueError("there is no saved_model.pb in it.")
        return folder
    # Hub says ValueError or RuntimeError of what it does not find.
    except (OSError, ValueError, RuntimeError, tf.errors.OpError, *_DAMAGE) as error:
        raise UsageError(
            f"module {handle} cannot be loaded: {_reason(error)}"
        ) from error


def is_local(handle):
    """Whether a handle is a path, which nothing has to be downloaded for."""
    return "://" not in str(handle) or urlparse(str(handle)).scheme == "file"


def _folder(handle, scratch):
    if not is_local(handle):
        import tensorflow_hub as hub  # Here, since it costs a second to import.

        return hub.resolve(handle)
    path = _path(handle)
    if not path.exists():
        raise ValueError("there is no such folder or archive.")
    if path.is_dir():
        return str(path)
    unpack(path, scratch)
    folder = _saved_model_below(scratch)
    if differing := checksums.differing(folder):
        raise ValueError(
            f"{', '.join(differing)} in it is not what its SHA256SUMS says: get the "
            "archive anew."
        )
    return folder


def _path(handle):
    path = handle
    if handle.startswith("file:"):
        url = urlparse(handle)
        if url.netloc not in ("", "localhost"):
            raise ValueError(
                f"{url.netloc!r} is another machine: a path begins after file://, "
                "with a third slash."
            )
        path = unquote(url.path)
    if not path:
        raise ValueError("it is empty.")
    return Path(path).expanduser()


def unpack(archive, folder):
    """Unpacks a tar file, refusing all that would lie outside of the folder.

    Args:
        archive: path of a tar file, compressed or not.
        folder: path of an existing folder.

    Raises:
        tarfile.TarError: for a path or a link that leaves the folder, a device, or an
            archive that is damaged; so do EOFError and zlib.error.
    """
    _read_to_the_end(archive)
    with tarfile.open(archive) as tar:
        # It follows no path out of the folder, and makes neither devices nor setuid.
        tar.extractall(folder, filter="data")


def _read_to_the_end(archive):
    """Lets gzip compare its checksum; tarfile takes what it can get, and is content."""
    with open(archive, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    if is_gzip:
        with gzip.open(archive) as file:
            while file.read(_CHUNK):
                pass


def _saved_model_below(folder):
    """The folder itself, or its only subfolder, as some archives have it."""
    entries = list(Path(folder).iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        return str(entries[0])
    return str(folder)


def _reason(error):
    text = one_line(error, None)
    if isinstance(error, tarfile.FilterError):
        return f"the archive is not safe, nothing is loaded from it: {text}."
    if isinstance(error, _DAMAGE):
        return f"it is no tar archive, or a damaged one ({text}); get it anew."
    return text
