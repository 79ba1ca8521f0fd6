"""From the bytes of an image file to RGB pixels, whatever the file is called.

The kind is read off the first bytes: data sets have PNG files called .jpg. The pixels
are those of Pillow's `Image.open(file).convert("RGB")` (alpha dropped, palettes looked
up, of an animation the first frame) with one exception: 16-bit grey keeps its high
byte, where Pillow clips everything above 255 to white.
"""

import io

import numpy as np
import tensorflow as tf

JPEG = b"\xff\xd8\xff"
PNG = b"\x89PNG"
_SIGNATURES = {"JPEG": (JPEG,), "PNG": (PNG,), "BMP": (b"BM",), "GIF": (b"GIF8",)}


def decode_image(contents):
    """Decodes a JPEG, PNG, BMP or GIF file.

    Args:
        contents: scalar string tensor. The bytes of the file.

    Returns:
        uint8 tensor (H, W, 3), RGB.
    """
    image = tf.cond(
        _starts_with(contents, JPEG),
        # Without this method TensorFlow decodes faster, but not what Pillow decodes.
        lambda: tf.io.decode_jpeg(contents, 3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.cond(
            _starts_with(contents, PNG),
            lambda: tf.io.decode_png(contents, 3),
            # TensorFlow misreads palettes in BMP and transparency in GIF.
            lambda: tf.numpy_function(_decode_pillow, [contents], tf.uint8, False),
        ),
    )
    image.set_shape((None, None, 3))
    return image


def check_image(contents):
    """Finds out what is wrong with an image file by decoding it.

    Args:
        contents: bytes. The file.

    Returns:
        (size, None) with the size (height, width) of a sound image, or
        (None, str) with what is wrong.
    """
    if not contents:
        return None, "is empty"
    kind = _kind(contents)
    if kind is None:
        return None, "is not a JPEG, PNG, BMP or GIF file"
    try:
        return tuple(decode_image(tf.constant(contents)).shape[:2]), None
    except Exception:  # Every decoder has errors of its own.
        return None, f"is a truncated or corrupt {kind} file"


def _kind(contents):
    for kind, signatures in _SIGNATURES.items():
        if contents.startswith(signatures):
            return kind
    return None


def _starts_with(contents, signature):
    return tf.strings.substr(contents, 0, len(signature)) == signature


def _decode_pillow(contents):
    # Only here, so that who has JPEG and PNG files does not wait for the import.
    from PIL import Image

    # Bytes in a graph, an array of one object outside.
    contents = np.asarray(contents, object).item()
    with Image.open(io.BytesIO(contents)) as image:
        return np.array(image.convert("RGB"))
