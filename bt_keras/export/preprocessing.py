"""From what a serving process is sent to what a backbone takes, in plain TensorFlow.

Nothing here is compiled by XLA or calls Python: it becomes part of the SavedModel's
graph, and runs wherever that is loaded.
"""

import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.data.decode import JPEG


def normalize(images):
    """Normalises images (N, H, W, 3) in [0, 1] with ImageNet's statistics, float32."""
    return ops.normalize_unit(tf.cast(images, tf.float32))


def from_uint8(images):
    """From uint8 levels to float32 in [0, 1]."""
    return tf.cast(images, tf.float32) / 255.0


def decode(contents, size, resize_ratio):
    """Decodes JPEG and PNG files and cuts out their middle, as evaluation does.

    The shorter side is brought to `size * resize_ratio` (bilinear, antialiased, whole
    levels), then the central square is taken. Evaluation's own resampling rounds to
    8 bits between the two axes too, so that a pixel may differ by a level.

    Args:
        contents: string Tensor (N,), the bytes of N files.
        size: int > 0, side of the squares in pixels.
        resize_ratio: float >= 1.

    Returns:
        float32 Tensor (N, size, size, 3) in [0, 1].
    """

    resize = round(size * resize_ratio)

    def decode_one(content):
        image = _decode_image(content)
        height, width = tf.unstack(tf.shape(image)[:2])
        short = tf.minimum(height, width)
        top, _, height = ops.central(height, short, resize, size)
        left, _, width = ops.central(width, short, resize, size)
        method = tf.image.ResizeMethod.BILINEAR
        image = tf.image.resize(image, (height, width), method, antialias=True)
        return tf.round(image[top : top + size, left : left + size])

    spec = tf.TensorSpec((size, size, 3), tf.float32)
    return tf.map_fn(decode_one, contents, fn_output_signature=spec) / 255.0


def _decode_image(content):
    is_jpeg = tf.strings.substr(content, 0, len(JPEG)) == JPEG
    image = tf.cond(
        is_jpeg,
        # As Pillow decodes: TensorFlow's default is faster and less exact.
        lambda: tf.io.decode_jpeg(content, 3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(content, 3),
    )
    image.set_shape((None, None, 3))
    return image
