"""Downloads modules into TensorFlow Hub's cache, with our checks of archives."""

from __future__ import annotations

import tempfile
import urllib.request

import tensorflow as tf

from bt_keras.hub import checksums
from bt_keras.hub.member_names import UnsafeError
from bt_keras.hub.unpack import unpack

_CHUNK = 2**20


def download(handle: str, max_bytes: int, check_sums: bool = True) -> str:
    """Downloads a module, unless it is in the cache.

    Args:
        handle: String, a URL that TensorFlow Hub resolves.
        max_bytes: Integer, the most bytes that the module's files may have.
        check_sums: Boolean, whether a download that differs from its SHA256SUMS is
            refused. Defaults to `True`.

    Returns:
        String, the path of the module in the cache.

    Raises:
        UnsafeError: If the archive is not safe to unpack, see `unpack`.
        OSError, ValueError, RuntimeError, tf.errors.OpError: If it cannot be
            downloaded, is not a module, or differs from its SHA256SUMS.
    """
    import tensorflow_hub as hub  # Imported late: it takes a second.
    from tensorflow_hub import compressed_module_resolver as compressed
    from tensorflow_hub import resolver

    http = compressed.HttpCompressedFileResolver()
    gcs = compressed.GcsCompressedFileResolver()

    def fetch(handle, folder):
        """Does what TensorFlow Hub's download does, which has no limits."""
        with tempfile.TemporaryFile() as file:
            with _open(handle) as response:
                _copy(response, file, max_bytes)
            unpack(file, folder, max_bytes)
        if check_sums:
            checksums.check(folder)

    def _open(handle):
        if gcs.is_supported(handle):
            return tf.io.gfile.GFile(handle, "rb")
        url = http._append_compressed_format_query(handle)
        return http._call_urlopen(urllib.request.Request(url))

    # A mirror with names of its own is left to TensorFlow Hub, as are uncompressed
    # modules, which TensorFlow reads from where they are.
    is_mirror = handle.startswith(compressed._HUB_TF_GOOGLE_CN)
    if is_mirror or not (http.is_supported(handle) or gcs.is_supported(handle)):
        return hub.resolve(handle)
    return resolver.atomic_download(handle, fetch, compressed._module_dir(handle))


def _copy(response, file, max_bytes):
    total = 0
    while chunk := response.read(_CHUNK):
        total += len(chunk)
        if total > max_bytes:
            raise UnsafeError(f"it has more than {max_bytes:,} bytes")
        file.write(chunk)
