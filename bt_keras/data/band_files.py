"""Files of images of any number of bands: `.npy`, TIFF and PNG."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from bt_keras import checks
from bt_keras.data import tiff_bands
from bt_keras.data.pillow_image import UnsupportedError
from bt_keras.files import npz_file

NPY = b"\x93NUMPY"
_TIFF = (b"II", b"MM")
_PNG = b"\x89PNG"
_MOST_BANDS = int(checks.CHANNELS.high)
_SIXTEEN = 16  # Byte 24 of a PNG file is its number of bits.


def decode(contents: bytes, bits: int, channels: int) -> np.ndarray:
    """Decodes a file with a given number of bands.

    Args:
        contents: Bytes. Contents of the file.
        bits: Integer, see `bt_keras.data.decode.decode_image`.
        channels: Integer, the number of bands.

    Returns:
        uint8 array (H, W, channels).

    Raises:
        UnsupportedError: If the file has another number of bands, no unsigned numbers
            of 8 or 16 bits, or values that exceed `bits`.
        Exception: Pillow, TensorFlow and NumPy raise many kinds for damaged files.
    """
    levels = read(contents)
    found = levels.shape[-1]
    if found != channels:
        plural = "s" if found > 1 else ""
        raise UnsupportedError(
            f"has {found} band{plural}, not {channels} as config.data.channels "
            "(channels= of bt_keras.data.load) says"
        )
    if levels.dtype == np.uint8:
        return levels
    if (largest := int(levels.max(initial=0))) >= 2**bits:
        raise UnsupportedError(f"has the value {largest}, which exceeds {bits} bits")
    return (levels >> (bits - 8)).astype(np.uint8)


def read(contents: bytes) -> np.ndarray:
    """Reads all bands of a file.

    Args:
        contents: Bytes. Contents of the file.

    Returns:
        uint8 or uint16 array (H, W, C).

    Raises:
        UnsupportedError: If this kind of file has no bands, or its pixels are not
            unsigned numbers of 8 or 16 bits.
        Exception: Pillow, TensorFlow and NumPy raise many kinds for damaged files.
    """
    if contents.startswith(NPY):
        return _read_npy(contents)
    if contents.startswith(_TIFF):
        return tiff_bands.read(contents)
    if contents.startswith(_PNG):
        dtype = tf.uint16 if contents[24] == _SIXTEEN else tf.uint8
        return tf.io.decode_png(contents, dtype=dtype).numpy()
    raise UnsupportedError(
        "is not a .npy, TIFF or PNG file; other formats can only be read as RGB or gray"
    )


def largest_value(contents: bytes) -> int:
    """Finds the largest value of an image with more than 8 bits; 0 for others.

    Args:
        contents: Bytes. Contents of a file that `read` can read.
    """
    levels = read(contents)
    return int(levels.max(initial=0)) if levels.dtype == np.uint16 else 0


def _read_npy(contents):
    levels = npz_file.read_array(contents)
    native = levels.dtype.newbyteorder("=")
    if native not in (np.uint8, np.uint16):
        raise UnsupportedError(
            f"has values of type {native}: save them as uint8 or uint16"
        )
    levels = levels[..., np.newaxis] if levels.ndim == 2 else levels
    if levels.ndim != 3 or 0 in levels.shape:
        raise UnsupportedError(
            f"has the shape {levels.shape}, not that of an image (H, W) or (H, W, C)"
        )
    if levels.shape[-1] > _MOST_BANDS:
        raise UnsupportedError(
            f"has the shape {levels.shape}, whose last entry must be the number of "
            f"bands, at most {_MOST_BANDS}: move the bands to the end, as "
            "np.moveaxis(array, 0, -1) does"
        )
    return levels.astype(native, copy=False)
