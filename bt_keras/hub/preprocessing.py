"""From what a serving process is sent to what a backbone takes, in plain TensorFlow.

Nothing here is compiled by XLA or calls Python: it becomes part of the SavedModel's
graph, and runs wherever that is loaded.
"""

import tensorflow as tf

from bt_keras.augmentation.ops import IMAGENET_MEAN, IMAGENET_STD
from bt_keras.data.decode import JPEG


def normalize(images):
    """Normalises images (N, H, W, 3) in [0, 1] with ImageNet's statistics, float32."""
    mean = tf.constant(IMAGENET_MEAN, tf.float32)
    deviation = tf.constant(IMAGENET_STD, tf.float32)
    return (tf.cast(images, tf.float32) - mean) / deviation


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

    def decode_one(content):
        image = _decode_image(content)
        shape = tf.shape(image)[:2]
        short = round(size * resize_ratio)
        shape = short * shape // tf.reduce_min(shape)
        image = tf.image.resize(
            image, shape, tf.image.ResizeMethod.BILINEAR, False, True
        )
        top, left = tf.unstack(_margins(shape - size))
        return tf.round(image[top : top + size, left : left + size])

    spec = tf.TensorSpec((size, size, 3), tf.float32)
    return tf.map_fn(decode_one, contents, fn_output_signature=spec) / 255.0


def _margins(excess):
    # Python, and so torchvision, rounds half a pixel to the even neighbour.
    half = excess // 2
    return half + (excess % 2) * (half % 2)


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
