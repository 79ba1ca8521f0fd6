"""From encoded or 8-bit images to the inputs of a backbone, in TensorFlow operations.

These functions become part of the SavedModel's graph, so that they call no Python code
and need no XLA.
"""

from __future__ import annotations

import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.data.decode import decode_jpeg_or_png


def normalize(images: tf.Tensor, statistics: Statistics = IMAGENET) -> tf.Tensor:
    """Normalizes images (N, H, W, C) in [0, 1] with given statistics, float32."""
    return ops.normalize_unit(tf.cast(images, tf.float32), statistics)


def from_uint8(images: tf.Tensor) -> tf.Tensor:
    """Converts uint8 levels to float32 in [0, 1]."""
    return tf.cast(images, tf.float32) / 255.0


def decode(
    contents: tf.Tensor,
    size: int,
    resize_ratio: float,
    bits: int = 16,
    channels: int = 3,
) -> tf.Tensor:
    """Decodes JPEG and PNG files, resizes them and takes the central crop.

    The shorter side becomes `size * resize_ratio` pixels (bilinear, antialiased,
    rounded to 8-bit levels). The evaluation also rounds between the two axes, so that
    its pixels may differ by one level.

    Args:
        contents: String tensor (N,), the bytes of N files.
        size: Integer, side of the crops in pixels.
        resize_ratio: Float, at least 1.
        bits: Integer, 8 to 16, see `decode_image`. Defaults to `16`.
        channels: Integer, 3 for RGB or 1 for gray. Defaults to `3`.

    Returns:
        Float32 tensor (N, size, size, channels) in [0, 1].
    """

    resize = round(size * resize_ratio)

    def decode_one(content):
        image = decode_jpeg_or_png(content, bits, channels)
        height, width = tf.unstack(tf.shape(image)[:2])
        short = tf.minimum(height, width)
        top, _, height = ops.center_crop_axis(height, short, resize, size)
        left, _, width = ops.center_crop_axis(width, short, resize, size)
        method = tf.image.ResizeMethod.BILINEAR
        image = tf.image.resize(image, (height, width), method, antialias=True)
        return tf.round(image[top : top + size, left : left + size])

    spec = tf.TensorSpec((size, size, channels), tf.float32)
    return tf.map_fn(decode_one, contents, fn_output_signature=spec) / 255.0
