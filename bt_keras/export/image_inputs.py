"""Modules that take images in [0, 1] and normalize them.

`network_inputs` has the same interface for all other modules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.augmentation import statistics as statistics_lib
from bt_keras.augmentation.statistics import Statistics
from bt_keras.errors import UsageError
from bt_keras.export import preprocessing
from bt_keras.networks import statistics_of

# PNG files; resized and cropped, they are the `images` of the sample.
FILES = "sample-*.png"
_NAME = "inputs"
_COUNT = 4
_IMAGE_SIZE = 224


@dataclasses.dataclass(frozen=True)
class ImageInputs:
    """Images in [0, 1], which the module normalizes.

    Args:
        shape: Tuple (None, height, width, channels); `None` for any size.
        statistics: `Statistics` for the normalization.
        image_size: Integer, side in pixels of the crops of encoded images.
        resize_ratio: Float, at least 1, see `ModuleMetadata`.
        examples: Optional sequence of uint8 arrays (H, W, C) of any sizes. Defaults to
            `None`: random noise.
    """

    shape: tuple
    statistics: Statistics
    image_size: int
    resize_ratio: float
    examples: Sequence[np.ndarray] | None = None

    @property
    def specs(self) -> tf.TensorSpec:
        """The argument of the module."""
        return tf.TensorSpec(self.shape, tf.float32, name=_NAME)

    def prepare(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the inputs of the network."""
        return preprocessing.normalize(images, self.statistics)

    def metadata(self) -> dict[str, Any]:
        """Returns the fields of `ModuleMetadata` that describe the inputs."""
        return {
            "input_shape": [None, *self.shape[1:]],
            "mean": list(self.statistics.mean),
            "deviation": list(self.statistics.deviation),
            "image_size": self.image_size,
            "resize_ratio": self.resize_ratio,
        }

    def signatures(self, bits: int = 16) -> dict[str, tuple[Callable, tf.TensorSpec]]:
        """Returns the further forms of images that signatures take.

        Args:
            bits: Integer, see `preprocessing.decode`. Defaults to `16`.

        Returns:
            Dict from the name of a signature to `(function, spec)`: a function to
            images in [0, 1], and what it takes.
        """

        def from_files(contents):
            size, ratio = self.image_size, self.resize_ratio
            channels = self.statistics.channels
            return preprocessing.decode(contents, size, ratio, bits, channels)

        levels = tf.TensorSpec(self.shape, tf.uint8, name=_NAME)
        signatures = {"uint8": (preprocessing.from_uint8, levels)}
        # TensorFlow decodes files to RGB or gray images.
        if self._takes_squares() and self.statistics.channels in (1, 3):
            contents = tf.TensorSpec((None,), tf.string, name=_NAME)
            signatures["encoded"] = (from_files, contents)
        return signatures

    def sample(self, folder: Path) -> tuple[tf.Tensor, dict[str, np.ndarray]]:
        """Writes the examples as PNG files, if the module can decode them.

        Args:
            folder: Path of an existing folder.

        Returns:
            `(inputs, arrays)`: the inputs of the network, and the arrays to store.
        """
        images: Any = self.examples
        if images is None or not self._takes_squares():
            height, width = (side or self.image_size for side in self.shape[1:3])
            images = noise(height, width, self.statistics.channels)
        for number, image in enumerate(
            images if "encoded" in self.signatures() else ()
        ):
            name = FILES.replace("*", f"{number:02d}")
            Path(folder, name).write_bytes(tf.io.encode_png(image).numpy())
        if self._takes_squares():
            images = resize_and_crop(images, self.image_size, self.resize_ratio)
        return ops.normalize(images, self.statistics), {"images": images}

    def _takes_squares(self):
        """Returns whether the backbone takes the squares that images are cropped to."""
        return all(side in (None, self.image_size) for side in self.shape[1:3])


def image_inputs(
    backbone: keras.Model,
    statistics: Statistics | None,
    image_size: int | None,
    resize_ratio: float,
    images: Sequence[np.ndarray] | None,
) -> ImageInputs:
    """Checks the arguments of `export_backbone` that concern images.

    Args:
        backbone: `keras.Model` from normalized images to features.
        statistics: Optional `Statistics`, see `export_backbone`.
        image_size: Optional integer, see `export_backbone`.
        resize_ratio: Float, see `export_backbone`.
        images: Optional sequence of uint8 arrays, see `export_backbone`.

    Returns:
        `ImageInputs`.

    Raises:
        UsageError: If the backbone takes images of other bands than `statistics` has,
            or an argument is out of range.
    """
    if statistics is None:
        statistics = statistics_of(backbone) or statistics_lib.IMAGENET
    statistics = statistics_lib.check(statistics)
    channels = statistics.channels
    shape = _input_shape(backbone) or (None, None, None, channels)
    image_size = image_size or default_image_size(backbone)
    if shape[-1] != channels:
        raise UsageError(
            f"the backbone {backbone.name!r} takes images of {shape[-1]} bands, but "
            f"the statistics are of {channels}: give "
            "statistics=bt_keras.Statistics(mean, deviation) of the training images, "
            "or export it with normalize=False."
        )
    if not isinstance(image_size, int) or image_size < 1:
        raise UsageError(f"image_size={image_size!r} must be an integer above 0.")
    if not resize_ratio >= 1:
        raise UsageError(f"resize_ratio={resize_ratio!r} must be at least 1.")
    for image in [] if images is None else images:
        shape_, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
        is_image = shape_ is not None and len(shape_) == 3 and shape_[2] == channels
        if dtype != "uint8" or not is_image:
            raise UsageError(
                f"images must be uint8 arrays (H, W, {channels}), but one of them has "
                f"dtype {dtype} and shape {shape_}."
            )
    return ImageInputs(tuple(shape), statistics, image_size, resize_ratio, images)


def default_image_size(backbone: keras.Model) -> int:
    """Returns the side of the images that a backbone takes, 224 if it takes any."""
    shape = _input_shape(backbone)
    return (shape and shape[1]) or _IMAGE_SIZE


def _input_shape(backbone):
    return getattr(backbone, "input_shape", None)  # A subclass of keras.Model has none.


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Draws random images, always the same.

    Args:
        height: Integer, in pixels.
        width: Integer, in pixels.
        channels: Integer, the number of bands. Defaults to `3`.

    Returns:
        Uint8 array (4, height, width, channels).
    """
    shape = (_COUNT, height, width, channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def resize_and_crop(
    images: Sequence[np.ndarray], image_size: int, resize_ratio: float
) -> np.ndarray:
    """Resizes and crops images to one size, as the evaluation does.

    Args:
        images: Sequence of uint8 arrays (H, W, C) of any sizes.
        image_size: Integer, side of the crops in pixels.
        resize_ratio: Float, at least 1: the shorter side before the crop is
            `resize_ratio * image_size` pixels.

    Returns:
        Uint8 array (N, image_size, image_size, C).
    """
    resize = round(image_size * resize_ratio)
    crops = [
        ops.resize_and_center_crop(image[np.newaxis], resize, image_size)
        for image in images
    ]
    return np.concatenate(crops)
