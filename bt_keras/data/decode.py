"""Decode image files to RGB pixels.

The format is determined by the first bytes, because data sets contain PNG files named
.jpg. The pixels equal those of Pillow's `Image.open(file).convert("RGB")` (without
alpha, with palettes applied, the first frame of an animation) with one exception:
16-bit gray keeps its high byte, whereas Pillow clips all values above 255 to white.
"""

from __future__ import annotations

import io

import numpy as np
import tensorflow as tf

JPEG = b"\xff\xd8\xff"
PNG = b"\x89PNG"
_SIGNATURES = {"JPEG": (JPEG,), "PNG": (PNG,), "BMP": (b"BM",), "GIF": (b"GIF8",)}


def decode_image(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG, BMP or GIF file.

    Args:
        contents: Scalar string tensor. Contents of the file.

    Returns:
        uint8 tensor of shape `(H, W, 3)`, RGB.
    """
    return _decode(
        contents,
        lambda: tf.cond(
            _starts_with(contents, PNG),
            lambda: tf.io.decode_png(contents, 3),
            # TensorFlow does not apply palettes in BMP and transparency in GIF.
            lambda: tf.numpy_function(_decode_pillow, [contents], tf.uint8, False),
        ),
    )


def decode_jpeg_or_png(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG or PNG file with TensorFlow's operations only.

    Unlike `decode_image` it calls no Python, so that a SavedModel can contain it.

    Args:
        contents: Scalar string tensor. Contents of the file.

    Returns:
        uint8 tensor of shape `(H, W, 3)`, RGB.
    """
    return _decode(contents, lambda: tf.io.decode_png(contents, 3))


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
    kind = _kind(contents)
    if kind is None:
        return None, "is not a JPEG, PNG, BMP or GIF file"
    try:
        return tuple(decode_image(tf.constant(contents)).shape[:2]), None
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise MemoryError from error
    except Exception:  # Each decoder raises other exceptions.
        return None, f"is a truncated or corrupt {kind} file"


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
            return kind
    return None


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


def _decode_pillow(contents):
    # Imported here because JPEG and PNG files do not need it.
    from PIL import Image

    # Graphs pass bytes, eager execution an array of one object.
    contents = np.asarray(contents, object).item()
    with Image.open(io.BytesIO(contents)) as image:
        return np.array(image.convert("RGB"))
