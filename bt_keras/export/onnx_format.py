"""Backbones as ONNX files, for ONNX Runtime and other programs."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from bt_keras.augmentation.statistics import Statistics
from bt_keras.errors import UsageError, listed, one_line
from bt_keras.export import keras_format
from bt_keras.export.traced import INPUTS, traced

# Names of the dimensions, as programs show them.
_DIMENSIONS = ("N", "H", "W")


def writer(
    backbone: keras.Model, image_size: int, statistics: Statistics
) -> Callable[[Path], int]:
    """Returns a function that writes an `.onnx` file, see `formats`.

    tf2onnx converts the traced function, not Keras's `model.export`: that turns the
    constants of `keras.layers.Normalization` into inputs that the user would have to
    feed (Keras 3.15).
    """
    import onnx
    import tf2onnx

    # On CPUs, ONNX Runtime has no bfloat16.
    backbone = keras_format.in_float32(backbone)
    function = traced(backbone, backbone.input_shape, statistics)
    try:
        with _no_messages():
            model, _ = tf2onnx.convert.from_function(function, function.input_signature)
    # tf2onnx has no error class of its own.
    except Exception as error:
        raise UsageError(
            f"tf2onnx cannot convert the backbone ({one_line(error)}): export it with "
            "another --format."
        ) from error
    nodes = [n for graph in (model.graph, *model.functions) for n in graph.node]
    unknown = {n.op_type for n in nodes if not onnx.defs.has(n.op_type, n.domain)}
    if unknown:
        raise UsageError(
            f"tf2onnx cannot convert {listed(sorted(unknown))} of the backbone: export "
            "it with another --format."
        )
    _name_dimensions(model.graph)
    contents = model.SerializeToString()
    return lambda path: path.write_bytes(contents)


def features(path: str | os.PathLike, images: np.ndarray) -> np.ndarray:
    """Computes features with an `.onnx` file, see `formats`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {INPUTS: images})[0]


def _name_dimensions(graph):
    for value in (*graph.input, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        for dimension, name in zip(dimensions, _DIMENSIONS, strict=False):
            if not dimension.HasField("dim_value"):
                dimension.dim_param = name


@contextlib.contextmanager
def _no_messages() -> Iterator[None]:
    """Suppresses the log of tf2onnx, which has a line for each unknown operation."""
    logger = logging.getLogger("tf2onnx")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
