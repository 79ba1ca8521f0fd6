"""Flips and rotations by right angles."""

from __future__ import annotations

import tensorflow as tf

from bt_keras import checks
from bt_keras.augmentation import ops, sampling
from bt_keras.augmentation.layers import ragged
from bt_keras.augmentation.layers.base import register
from bt_keras.augmentation.layers.geometric import GeometricView
from bt_keras.errors import UsageError

_FLIPS = {"horizontal": ops.flip, "vertical": ops.flip_vertically}
_MODES = (*_FLIPS, "horizontal_and_vertical")


@register
class RandomFlip(GeometricView):
    """Flip images, segmentation masks and bounding boxes.

    Args:
        probability: Float in [0, 1]. Fraction of the images that are flipped in each
            direction of `mode`. Defaults to `0.5`.
        mode: `"horizontal"`, `"vertical"`, or `"horizontal_and_vertical"`, which flips
            in each of these directions or in both, independently. Defaults to
            `"horizontal"`.
        bounding_box_format: String, keras-cv's name of the format of bounding boxes,
            such as `"xyxy"`. Defaults to `None`: there are none.
        seed: Integer or None. Makes the choice repeatable. Defaults to `None`.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras.augmentation.layers import RandomFlip
    >>> flip = RandomFlip(1.0, bounding_box_format="xyxy")
    >>> boxes = {"boxes": [[0.0, 2.0, 3.0, 4.0]], "classes": [7.0]}
    >>> flip({"images": tf.zeros((8, 8, 3)), "bounding_boxes": boxes})[
    ...     "bounding_boxes"]["boxes"].numpy()
    array([[5., 2., 8., 4.]], dtype=float32)
    """

    def __init__(self, probability: float = 0.5, mode: str = "horizontal", **kwargs):
        super().__init__(**kwargs)
        self.probability = checks.number("probability", probability, checks.FRACTION)
        self.mode = checks.choice("mode", mode, _MODES)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        return {
            direction: sampling.bernoulli(
                self.next_seed(), batch_size, self.probability
            )
            for direction in _FLIPS
            if direction in self.mode
        }

    def move(self, images, transformations):
        for direction, mask in transformations.items():
            images = _FLIPS[direction](images, mask)
        return images

    def move_boxes(self, boxes, transformations, images):
        left, top, right, bottom = tf.unstack(boxes, axis=-1)
        if "horizontal" in transformations:
            mask = transformations["horizontal"][:, None]
            left, right = _swap(mask, left, right)
        if "vertical" in transformations:
            mask = transformations["vertical"][:, None]
            top, bottom = _swap(mask, top, bottom)
        return tf.stack([left, top, right, bottom], axis=-1)

    def settings(self):
        own = {"probability": self.probability, "mode": self.mode}
        return {**own, **super().settings()}


def _swap(mask, low, high):
    """Mirrors the ends of intervals of [0, 1] where `mask` is true."""
    return tf.where(mask, 1.0 - high, low), tf.where(mask, 1.0 - low, high)


@register
class RandomRotate90(GeometricView):
    """Rotate images, segmentation masks and bounding boxes by right angles.

    Batches of images must be square, because the sides of an image change places. The
    images of a ragged batch need not be.

    Args:
        probability: Float in [0, 1]. Fraction of the images that are rotated, by 90,
            180 or 270 degrees, each equally likely. Defaults to `0.75`: all four
            directions are.
        bounding_box_format: String, keras-cv's name of the format of bounding boxes,
            such as `"xyxy"`. Defaults to `None`: there are none.
        seed: Integer or None. Makes the rotations repeatable. Defaults to `None`.

    Raises:
        UsageError: If an argument is out of range, or a batch is not square.

    Example:

    >>> from bt_keras.augmentation.layers import RandomRotate90
    >>> RandomRotate90(seed=1)(tf.zeros((2, 8, 8, 3))).shape
    TensorShape([2, 8, 8, 3])
    """

    def __init__(self, probability: float = 0.75, **kwargs):
        super().__init__(**kwargs)
        self.probability = checks.number("probability", probability, checks.FRACTION)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        return sampling.quarter_turns(self.next_seed(), batch_size, self.probability)

    def move(self, images, transformations):
        height, width = images.shape[1:3]
        message = "RandomRotate90 needs square images or a ragged batch; crop first."
        if None not in (height, width) and height != width:
            raise UsageError(f"{message[:-1]}: they have {height} x {width} pixels.")
        with tf.control_dependencies(
            [tf.debugging.assert_equal(*ragged.sides(images), message)]
        ):
            return ops.rotate(images, transformations)

    def move_one(self, image, transformation):
        return tf.image.rot90(image, transformation)

    def move_boxes(self, boxes, transformations, images):
        turns = transformations[:, None, None]
        for turn in (1, 2, 3):
            left, top, right, bottom = tf.unstack(boxes, axis=-1)
            turned = tf.stack([top, 1.0 - right, bottom, 1.0 - left], axis=-1)
            boxes = tf.where(turns >= turn, turned, boxes)
        return boxes

    def settings(self):
        return {"probability": self.probability, **super().settings()}
