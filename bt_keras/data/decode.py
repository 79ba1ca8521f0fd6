"""Decode image files to RGB pixels.

The format is determined by the first bytes, because data sets contain PNG files named
.jpg. The pixels equal those of Pillow's `Image.open(file).convert("RGB")` (without
alpha, with palettes applied, the first frame of an animation, the first page of a TIFF
file) with one exception: values of more than 8 bits are scaled by a power of two, so
that 16-bit images keep their high byte. Pillow clips values above 255 to white.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from bt_keras.data import jpeg_memory, pillow_image
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
}
_BY_TENSORFLOW = ("JPEG", "PNG")
KINDS = "JPEG, PNG, BMP, GIF, WebP or TIFF"
_SIXTEEN = b"\x10"  # Byte 24 of a PNG file is its number of bits.
# Bytes that decoding a pixel takes: Pillow stores four, and three are copied.
_TENSORFLOW_PIXEL, _PILLOW_PIXEL = 3, 6


def decode_image(contents: tf.Tensor, bits: int = 16) -> tf.Tensor:
    """Decodes a JPEG, PNG, BMP, GIF, WebP or TIFF file.

    Args:
        contents: Scalar string tensor. Contents of the file.
        bits: Integer, 8 to 16. Significant bits of images with more than 8 bits, which
            are divided by `2 ** (bits - 8)`. Defaults to `16`.

    Returns:
        uint8 tensor of shape `(H, W, 3)`, RGB.
    """
    return _decode(
        contents,
        lambda: tf.cond(
            _starts_with(contents, PNG),
            lambda: _decode_png(contents, bits),
            # TensorFlow does not apply palettes in BMP and transparency in GIF.
            lambda: tf.numpy_function(
                functools.partial(_decode_pillow, bits), [contents], tf.uint8, False
            ),
        ),
    )


def decode_jpeg_or_png(contents: tf.Tensor, bits: int = 16) -> tf.Tensor:
    """Decodes a JPEG or PNG file with TensorFlow's operations only.

    Unlike `decode_image` it calls no Python, so that a SavedModel can contain it.

    Args:
        contents: Scalar string tensor. Contents of the file.
        bits: Integer, see `decode_image`. Defaults to `16`.

    Returns:
        uint8 tensor of shape `(H, W, 3)`, RGB.
    """
    return _decode(contents, lambda: _decode_png(contents, bits))


def check_image(contents: bytes) -> tuple:
    """Checks whether an image file can be decoded.

    Args:
        contents: Bytes. Contents of the file.

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
        if kind != "JPEG" and (problem := _too_large(contents, kind)):
            return None, problem
        return tuple(decode_image(tf.constant(contents)).shape[:2]), None
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise MemoryError from error
    except Exception:  # Each decoder raises other exceptions.
        return None, _reason(contents, kind)


def largest_value(contents: bytes) -> int:
    """Finds the largest value of an image with more than 8 bits; 0 for others.

    Args:
        contents: Bytes. Contents of a file that `check_image` finds readable.
    """
    kind = _kind(contents)
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


def _reason(contents, kind):
    """Why a file cannot be decoded."""
    try:
        if problem := _too_large(contents, kind):
            return problem
        if kind not in _BY_TENSORFLOW:
            _decode_pillow(16, contents)  # TensorFlow hid the kind of the exception.
    except pillow_image.UnsupportedError as error:
        return str(error)
    except Exception:
        pass
    return f"is a truncated or corrupt {kind} file"


def _too_large(contents, kind):
    """Why an image is too large to decode, None if it is not."""
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


def _decode(contents, decode_others):
    """Decodes JPEG; calls `decode_others` for all other formats."""
    image = tf.cond(
        _starts_with(contents, JPEG),
        # TensorFlow's default method is faster, but its pixels differ from Pillow's.
        lambda: tf.io.decode_jpeg(contents, 3, dct_method="INTEGER_ACCURATE"),
        decode_others,
    )
    image.set_shape((None, None, 3))
    return image


def _decode_png(contents, bits):
    if bits == 16:
        return tf.io.decode_png(contents, 3)  # Keeps the high byte.
    return tf.cond(
        tf.strings.substr(contents, 24, 1) == _SIXTEEN,
        lambda: _to_uint8(tf.io.decode_png(contents, 3, tf.uint16), bits),
        lambda: tf.io.decode_png(contents, 3),
    )


def _to_uint8(levels, bits):
    fits = tf.debugging.assert_less(
        tf.reduce_max(tf.cast(levels, tf.int32)),
        2**bits,
        f"An image has values of more than the {bits} bits of config.data.bits",
    )
    with tf.control_dependencies([fits] if fits is not None else []):
        levels = tf.bitwise.right_shift(levels, tf.constant(bits - 8, tf.uint16))
    return tf.cast(levels, tf.uint8)


def _decode_pillow(bits, contents):
    # Graphs pass bytes, eager execution an array of one object.
    return pillow_image.decode(np.asarray(contents, object).item(), bits)
