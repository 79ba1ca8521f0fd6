"""From a handle to the folder of a SavedModel: folders, archives, URLs, hub's cache."""

import tarfile
import zlib
from pathlib import Path
from urllib.parse import unquote, urlparse

import tensorflow as tf

from bt_keras.errors import UsageError

# What tarfile and zlib say of an archive that is not whole.
_DAMAGE = (tarfile.TarError, zlib.error, EOFError)


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
    except (OSError, ValueError, RuntimeError, *_DAMAGE) as error:
        raise UsageError(
            f"module {handle} cannot be loaded: {_reason(error)}"
        ) from error


def exists(handle):
    """Whether a handle names something on this machine."""
    path = _local_path(str(handle))
    return path is not None and path.exists()


def _folder(handle, scratch):
    path = _local_path(handle)
    if path is None:
        import tensorflow_hub as hub  # Here, since it costs a second to import.

        return hub.resolve(handle)
    if not path.exists():
        raise ValueError("there is no such folder or archive.")
    if path.is_dir():
        return str(path)
    unpack(path, scratch)
    return _saved_model_below(scratch)


def _local_path(handle):
    """The path that a handle names, None for one that is looked up elsewhere."""
    url = urlparse(handle)
    if url.scheme == "file":
        return Path(unquote(url.path))
    return None if "://" in handle else Path(handle).expanduser()


def unpack(archive, folder):
    """Unpacks a tar file, refusing all that would lie outside of the folder.

    Args:
        archive: path of a tar file, compressed or not.
        folder: path of an existing folder.

    Raises:
        tarfile.TarError: for a path or a link that leaves the folder, a device, or an
            archive that is damaged; so do EOFError and zlib.error.
    """
    with tarfile.open(archive) as tar:
        # It follows no path out of the folder, and makes neither devices nor setuid.
        tar.extractall(folder, filter="data")


def _saved_model_below(folder):
    """The folder itself, or its only subfolder, as some archives have it."""
    entries = list(Path(folder).iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        return str(entries[0])
    return str(folder)


def _reason(error):
    if isinstance(error, tarfile.FilterError):
        return f"the archive is not safe, nothing is loaded from it: {error}."
    if isinstance(error, _DAMAGE):
        return f"it is no tar archive, or a damaged one ({error}); get it anew."
    return " ".join(str(error).split())
