"""Decode image files to pixels of RGB, gray, or any number of bands.

The format is determined by the first bytes, because data sets contain PNG files named
.jpg. The pixels equal those of Pillow's `Image.open(file).convert("RGB")` (without
alpha, with palettes applied, the first frame of an animation, the first page of a TIFF
file) with one exception: values of more than 8 bits are scaled by a power of two, so
that 16-bit images keep their high byte. Pillow clips values above 255 to white. Gray
pixels are those of `convert("L")` of the RGB pixels. Other numbers of bands are read as
they are in the file, see `band_files`.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from bt_keras.data import band_files, jpeg_memory, pillow_image, tiff_bands
from bt_keras.data import bits as bits_lib
from bt_keras.data.jpeg_memory import MAX_BYTES

JPEG = b"\xff\xd8\xff"
PNG = b"\x89PNG"
_SIGNATURES = {
    "JPEG": (JPEG,),
    "PNG": (PNG,),
    "BMP": (b"BM",),
    "GIF": (b"GIF8",),
    "WebP": (b"RIFF",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "NumPy": (band_files.NPY,),
}
_BY_TENSORFLOW = ("JPEG", "PNG")
KINDS = "JPEG, PNG, BMP, GIF, WebP, TIFF or .npy"
_GRAY, _RGB = 1, 3  # Numbers of bands that all kinds of files have or are converted to.
_SIXTEEN = b"\x10"  # Byte 24 of a PNG file is its number of bits.
# Bytes that decoding a pixel takes: Pillow stores four, and three are copied.
_TENSORFLOW_PIXEL, _PILLOW_PIXEL = 3, 6


def decode_image(contents: tf.Tensor, bits: int = 16, channels: int = 3) -> tf.Tensor:
    """Decodes a JPEG, PNG, BMP, GIF, WebP, TIFF or .npy file.

    Args:
        contents: Scalar string tensor. Contents of the file.
        bits: Integer, 8 to 16. Significant bits of images with more than 8 bits, which
            are divided by `2 ** (bits - 8)`. Defaults to `16`.
        channels: Integer, the number of bands: 3 for RGB, to which gray images are
            converted, 1 for gray, to which RGB images are converted; any other is that
            of the file. Defaults to `3`.

    Returns:
        uint8 tensor of shape `(H, W, channels)`.
    """
    if channels not in (_GRAY, _RGB):
        image = _in_python(band_files.decode, contents, bits, channels)
        image.set_shape((None, None, channels))
        return image
    return _decode(
        contents,
        channels,
        lambda: tf.cond(
            _starts_with(contents, PNG),
            lambda: _decode_png(contents, bits),
            # TensorFlow does not apply palettes in BMP and transparency in GIF.
            lambda: _in_python(_decode_other, contents, bits, channels),
        ),
    )


def decode_jpeg_or_png(
    contents: tf.Tensor, bits: int = 16, channels: int = 3
) -> tf.Tensor:
    """Decodes a JPEG or PNG file with TensorFlow's operations only.

    Unlike `decode_image` it calls no Python, so that a SavedModel can contain it.

    Args:
        contents: Scalar string tensor. Contents of the file.
        bits: Integer, see `decode_image`. Defaults to `16`.
        channels: Integer, 3 for RGB or 1 for gray. Defaults to `3`.

    Returns:
        uint8 tensor of shape `(H, W, channels)`.
    """
    return _decode(contents, channels, lambda: _decode_png(contents, bits))


def check_image(contents: bytes, channels: int = 3) -> tuple:
    """Checks whether an image file can be decoded.

    Args:
        contents: Bytes. Contents of the file.
        channels: Integer, see `decode_image`. Defaults to `3`.

    Returns:
        `(size, None)`, the size as (height, width), or `(None, problem)`, the problem
        as a predicate such as "is empty".

    Raises:
        MemoryError: If there is not enough memory, which says nothing about the file.
    """
    if not contents:
        return None, "is empty"
    if contents.startswith(JPEG) and (problem := jpeg_memory.problem(contents)):
        return None, problem
    kind = _kind(contents)
    if kind is None:
        return None, f"is not a {KINDS} file"
    try:
        if kind != "JPEG" and (problem := _too_large(contents, kind, channels)):
            return None, problem
        image = decode_image(tf.constant(contents), channels=channels)
        return tuple(image.shape[:2]), None
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise MemoryError from error
    except Exception:  # Each decoder raises other exceptions.
        return None, _reason(contents, kind, channels)


def largest_value(contents: bytes, channels: int = 3) -> int:
    """Finds the largest value of an image with more than 8 bits; 0 for others.

    Args:
        contents: Bytes. Contents of a file that `check_image` finds readable.
        channels: Integer, see `decode_image`. Defaults to `3`.
    """
    kind = _kind(contents)
    if kind == "NumPy" or channels not in (_GRAY, _RGB):
        return band_files.largest_value(contents)
    if kind == "TIFF":
        return pillow_image.largest_value(contents)
    if kind != "PNG" or contents[24:25] != _SIXTEEN:
        return 0
    has_color = contents[25] & 2
    levels = tf.io.decode_png(contents, 3 if has_color else 1, tf.uint16)
    return int(levels.numpy().max())


def fingerprint(contents: bytes | tf.Tensor) -> tf.Tensor:
    """Computes a hash of a file's contents that is equal in every process.

    Args:
        contents: Bytes or scalar string tensor. Contents of the file.

    Returns:
        int64 scalar tensor. FarmHash, which takes much less time than decoding.
    """
    return tf.strings.to_hash_bucket_fast(contents, 2**63 - 1)


def _kind(contents):
    for kind, signatures in _SIGNATURES.items():
        if contents.startswith(signatures):
            is_other_riff = kind == "WebP" and contents[8:12] != b"WEBP"
            return None if is_other_riff else kind
    return None


def _reason(contents, kind, channels):
    """Why a file cannot be decoded."""
    try:
        if problem := _too_large(contents, kind, channels):
            return problem
        # TensorFlow hid the kind of the exception.
        if channels not in (_GRAY, _RGB):
            band_files.decode(contents, 16, channels)
        elif kind not in _BY_TENSORFLOW:
            _decode_other(contents, 16, channels)
    except pillow_image.UnsupportedError as error:
        return str(error)
    except Exception:
        pass
    return f"is a truncated or corrupt {kind} file"


def _too_large(contents, kind, channels):
    """Why an image is too large to decode, None if it is not."""
    if kind == "NumPy":  # The file itself is as large as the image.
        return None
    if kind == "TIFF" and channels not in (_GRAY, _RGB):
        height, width, bands = tiff_bands.shape(contents)
        each = _PILLOW_PIXEL * bands
    else:
        height, width = pillow_image.size(contents, kind)
        each = _TENSORFLOW_PIXEL if kind in _BY_TENSORFLOW else _PILLOW_PIXEL
    if height * width * each < MAX_BYTES:
        return None
    return (
        f"has {width} x {height} pixels, which is too large for the decoder (at most "
        f"{MAX_BYTES // each:,} pixels): make it smaller, or cut it into tiles"
    )


def _starts_with(contents, signature):
    return tf.strings.substr(contents, 0, len(signature)) == signature


def _decode(contents, channels, decode_others):
    """Decodes JPEG to RGB or gray; calls `decode_others` for all other formats."""
    image = tf.cond(
        _starts_with(contents, JPEG),
        # TensorFlow's default method is faster, but its pixels differ from Pillow's.
        lambda: tf.io.decode_jpeg(contents, 3, dct_method="INTEGER_ACCURATE"),
        decode_others,
    )
    image.set_shape((None, None, 3))
    return image if channels == _RGB else _to_gray(image)


def _to_gray(image):
    """Converts RGB to ITU-R 601-2 luma in Pillow's fixed point."""
    weighted = tf.cast(image, tf.int32) * tf.constant([19595, 38470, 7471])
    total = tf.reduce_sum(weighted, axis=-1, keepdims=True) + 32768
    return tf.cast(tf.bitwise.right_shift(total, 16), tf.uint8)


def _decode_png(contents, bits):
    if bits == 16:
        return tf.io.decode_png(contents, 3)  # Keeps the high byte.
    return tf.cond(
        tf.strings.substr(contents, 24, 1) == _SIXTEEN,
        lambda: bits_lib.to_uint8(tf.io.decode_png(contents, 3, tf.uint16), bits),
        lambda: tf.io.decode_png(contents, 3),
    )


def _in_python(decode, contents, bits, channels):
    def call(contents):
        # Graphs pass bytes, eager execution an array of one object.
        return decode(np.asarray(contents, object).item(), bits, channels)

    return tf.numpy_function(call, [contents], tf.uint8, False)


def _decode_other(contents, bits, channels):
    """Decodes what TensorFlow does not decode, to RGB also if it is gray."""
    if contents.startswith(band_files.NPY):
        bands = 1 if band_files.read(contents).shape[-1] == 1 else channels
        image = band_files.decode(contents, bits, bands)
        return np.broadcast_to(image, (*image.shape[:2], _RGB))
    if _kind(contents) == "TIFF" and channels == _GRAY:
        tiff_bands.check_one_page(contents)
    return pillow_image.decode(contents, bits)
