"""The images of a user's `tf.data.Dataset`: which are taken, and their 8-bit levels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bt_keras import checks
from bt_keras.data import bits as bits_lib
from bt_keras.errors import UsageError

# Number of images that are checked before a dataset is used.
_CHECKED = 64
_HASHES = 2**63 - 1
# Few images can have the same order twice by chance.
_FEW, _PASSES, _PASSES_OF_FEW = 16, 2, 8


class _Seen(NamedTuple):
    """Properties of the first images of an iteration."""

    fingerprints: list[int]
    low: float
    high: float


def image_spec(dataset: tf.data.Dataset) -> tf.TensorSpec:
    """Returns the spec of the images of a dataset, batched or not.

    Args:
        dataset: `tf.data.Dataset`.

    Returns:
        `tf.TensorSpec` of rank 3 or 4 with a known number of bands.

    Raises:
        UsageError: If it is not a dataset, or its elements are not images.
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise UsageError(
            f"dataset={checks.described(dataset)} must be a tf.data.Dataset, such as "
            "tf.data.Dataset.from_tensor_slices(images)."
        )
    spec = dataset.element_spec
    image = spec[0] if isinstance(spec, tuple) and len(spec) in (1, 2) else spec
    if (
        not isinstance(image, tf.TensorSpec)
        or not (image.dtype in (tf.uint8, tf.uint16) or image.dtype.is_floating)
        or image.shape.rank not in (3, 4)
        or not checks.CHANNELS.accepts(image.shape[-1])
    ):
        raise UsageError(
            "The elements of the tf.data.Dataset are not images: give image or (image, "
            "label) with image (H, W, C) of 1 to 16 bands, batched or not, and uint8, "
            f"uint16 or float in 0..255, instead of {spec}."
        )
    return image


def check(dataset: tf.data.Dataset, bits: int) -> None:
    """Checks the first images of a dataset in several iterations.

    Args:
        dataset: `tf.data.Dataset` of image or (image, label), not batched.
        bits: Integer, the significant bits of uint16 images.

    Raises:
        UsageError: If iterations differ, or float images are not in 0..255.
    """
    first = _look(dataset)
    few = len(first.fingerprints) < _FEW
    for _ in range((_PASSES_OF_FEW if few else _PASSES) - 1):
        if _look(dataset).fingerprints != first.fingerprints:
            raise UsageError(
                "The tf.data.Dataset gives other images in each iteration, but "
                "bt_keras shuffles and augments them itself: leave out shuffle() and "
                "random augmentation (shuffle=False in "
                "keras.utils.image_dataset_from_directory). Images may stay float in "
                "0..255; tf.cast is not needed."
            )
    dtype = image_spec(dataset).dtype
    if dtype.is_floating:
        _check_range(first)
    elif dtype == tf.uint16:
        bits_lib.warn_if_dark(
            "The first images of the tf.data.Dataset", int(first.high), bits
        )


def to_levels(image: tf.Tensor, bits: int) -> tf.Tensor:
    """Converts an image to 8-bit levels.

    Args:
        image: uint8, uint16 or float tensor; floats are levels in 0..255.
        bits: Integer, 8 to 16. uint16 values are divided by `2 ** (bits - 8)`.

    Returns:
        uint8 tensor of the same shape.
    """
    if image.dtype == tf.uint8:
        return image
    if image.dtype == tf.uint16:
        return bits_lib.to_uint8(image, bits)
    message = "An image of the tf.data.Dataset is not in 0..255"
    is_valid = tf.reduce_all((image >= 0) & (image <= 255))  # Not for NaN.
    in_range = tf.debugging.assert_equal(is_valid, True, message)
    with tf.control_dependencies([in_range] if in_range is not None else []):
        return tf.cast(tf.round(image), tf.uint8)


def _look(dataset):
    def properties(image, *labels):
        contents = [
            tf.io.serialize_tensor(part) for part in tf.nest.flatten((image, labels))
        ]
        levels = tf.cast(image, tf.float32)
        low, high = tf.reduce_min(levels), tf.reduce_max(levels)
        return (
            tf.strings.to_hash_bucket_fast(tf.strings.join(contents), _HASHES),
            low,
            high,
        )

    seen = list(dataset.take(_CHECKED).map(properties).as_numpy_iterator())
    fingerprints, lows, highs = zip(*seen, strict=True)
    return _Seen(list(map(int, fingerprints)), float(min(lows)), float(np.max(highs)))


def _check_range(seen):
    low, high = seen.low, seen.high
    if low >= 0 and 0 < high <= 1:
        raise UsageError(
            "The float images of the tf.data.Dataset are in [0, 1], but levels must be "
            "in 0..255: leave the rescaling out, or multiply by 255 in dataset.map."
        )
    if not (low >= 0 and high <= 255):  # Also for NaN.
        raise UsageError(
            "The float images of the tf.data.Dataset range from "
            f"{low:.4g} to {high:.4g}, but levels must be in 0..255: do not normalize "
            "them, since the views do."
        )
