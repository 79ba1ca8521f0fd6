"""Backbones as TensorFlow Lite files, for phones and small devices."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.errors import UsageError, one_line
from bt_keras.export import keras_format
from bt_keras.export.traced import traced
from bt_keras.files.scratch import scratch_folder


def writer(
    backbone: keras.Model, image_size: int, statistics: Statistics
) -> Callable[[Path], int]:
    """Returns a function that writes a `.tflite` file, see `formats`."""
    contents = convert(backbone, image_size, statistics)
    return lambda path: path.write_bytes(contents)


def features(path: str | os.PathLike, images: np.ndarray) -> np.ndarray:
    """Computes features with a `.tflite` file, see `formats`."""
    return run(Path(path).read_bytes(), images)


def convert(
    backbone: keras.Model, image_size: int, statistics: Statistics = IMAGENET
) -> bytes:
    """Converts a backbone in inference mode.

    Args:
        backbone: `keras.Model` from normalized images (N, H, W, C) to features (N, F).
        image_size: Integer, side of the images in pixels. It is fixed; the number of
            images is not (`Interpreter.resize_tensor_input`).
        statistics: `Statistics` for the normalization. Defaults to those of ImageNet.

    Returns:
        Bytes of a `.tflite` file, from float32 images
        (N, image_size, image_size, C) in [0, 1] to float32 features (N, F).

    Raises:
        UsageError: If TensorFlow Lite lacks an operation of the backbone.
    """
    backbone = keras_format.in_float32(backbone)  # It has no mixed precision.
    shape = (None, image_size, image_size, statistics.channels)
    function = traced(backbone, shape, statistics)
    variables = [v.value for v in backbone.variables]
    with scratch_folder() as folder, _no_warning():
        # Converting the function itself would leave the variables uninitialized.
        module = tf.train.Checkpoint(variables=variables)
        try:
            tf.saved_model.save(module, str(folder), {"serving_default": function})
        except tf.errors.OpError as error:
            raise UsageError(
                f"the temporary folder {folder} cannot be written ({one_line(error)}): "
                "free space, or set TMPDIR to another folder."
            ) from error
        try:
            return tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()
        # The converter raises an error class of its own, among others.
        except Exception as error:
            raise UsageError(
                f"the backbone cannot be converted to TensorFlow Lite "
                f"({one_line(error)}): export it with another --format."
            ) from error


def run(contents: bytes, images: np.ndarray) -> np.ndarray:
    """Computes features with a `.tflite` file.

    Args:
        contents: Bytes that `convert` returned.
        images: Float32 array (N, H, W, C) in [0, 1].

    Returns:
        Float32 array (N, F).
    """
    with _no_warning():
        interpreter = tf.lite.Interpreter(model_content=contents)
    (inputs,), (outputs,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.resize_tensor_input(inputs["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(inputs["index"], images.astype(np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(outputs["index"]).copy()


@contextlib.contextmanager
def _no_warning():
    """Suppresses the warning that tf.lite will move to a package of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite")
        yield
