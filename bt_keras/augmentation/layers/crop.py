"""The random resized crop."""

from __future__ import annotations

import tensorflow as tf

from bt_keras import checks
from bt_keras.augmentation import ops, sampling
from bt_keras.augmentation.layers import ragged
from bt_keras.augmentation.layers.base import register
from bt_keras.augmentation.layers.geometric import GeometricView


@register
class RandomResizedCrop(GeometricView):
    """Crop a random box and resize it with antialiased bicubic interpolation.

    Segmentation masks take the nearest pixel. Ragged batches of images become dense.

    Args:
        size: Integer. Side of the square output in pixels.
        scale: Tuple of floats in (0, 1], the range of the crop's fraction of the image
            area. Defaults to `(0.08, 1.0)`.
        ratio: Tuple of floats, the range of the crop's width divided by its height.
            Defaults to `(3 / 4, 4 / 3)`.
        bounding_box_format: String, keras-cv's name of the format of bounding boxes,
            such as `"xyxy"`. Defaults to `None`: there are none.
        seed: Integer or None. Makes the crops repeatable. Defaults to `None`.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras.augmentation.layers import RandomResizedCrop
    >>> crop = RandomResizedCrop(32, seed=1)
    >>> crop(tf.zeros((8, 48, 48, 3), tf.uint8)).shape
    TensorShape([8, 32, 32, 3])
    >>> sizes = tf.ragged.stack([tf.zeros((48, 60, 3)), tf.zeros((90, 40, 3))])
    >>> crop(sizes).shape
    TensorShape([2, 32, 32, 3])
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.size = checks.number("size", size, checks.COUNT)
        self.scale = checks.interval("scale", scale, checks.AREA)
        self.ratio = checks.interval("ratio", ratio, checks.POSITIVE)
        self.force_output_dense_images = True
        self.force_output_dense_segmentation_masks = True

    def compute_ragged_image_signature(self, images):
        shape = (self.size, self.size, images.shape[-1])
        return tf.RaggedTensorSpec(shape, self.compute_dtype, ragged_rank=1)

    def get_random_transformation_batch(self, batch_size, images=None, **kwargs):
        height, width = ragged.sides(images)
        return sampling.crop_boxes(
            self.next_seed(), batch_size, height, width, self.scale, self.ratio
        )

    def augment_images(self, images, transformations, **kwargs):
        if images.dtype != tf.uint8:
            levels = tf.round(tf.cast(images, tf.float32))
            images = tf.cast(tf.clip_by_value(levels, 0.0, 255.0), tf.uint8)
        crops = ops.crop_and_resize(images, transformations, self.size)
        return tf.cast(crops, self.compute_dtype)

    def augment_ragged_image(self, image, transformation, **kwargs):
        return self.augment_images(image[None], transformation[None])[0]

    def move(self, masks, boxes):
        top, left, height, width = tf.unstack(boxes, axis=1)
        masks = tf.gather(masks, self._nearest(top, height), axis=1, batch_dims=1)
        return tf.gather(masks, self._nearest(left, width), axis=2, batch_dims=1)

    def _nearest(self, start, length):
        """Returns the pixels (N, size) at the centers of the output's pixels."""
        centers = 2 * tf.range(self.size) + 1
        return start[:, None] + centers * length[:, None] // (2 * self.size)

    def move_boxes(self, boxes, transformations, images):
        sides = [tf.cast(side, tf.float32) for side in ragged.sides(images)]
        whole = tf.stack([*sides[::-1], *sides[::-1]], axis=-1)
        whole = tf.reshape(whole, (-1, 1, 4))
        crop = tf.cast(transformations, tf.float32)[:, None]
        top, left, height, width = tf.unstack(crop, axis=-1)
        start = tf.stack([left, top, left, top], axis=-1)
        return (boxes * whole - start) / tf.stack([width, height] * 2, axis=-1)

    def settings(self):
        own = {"size": self.size, "scale": self.scale, "ratio": self.ratio}
        return {**own, **super().settings()}
