"""Modules that take what their network takes, a tensor of any rank or a nest of them.

`image_inputs` has the same interface for modules of images.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bt_keras.errors import UsageError, one_line
from bt_keras.model.view_pairs import arranged
from bt_keras.networks import input_specs

_NAME = "inputs"
_COUNT = 4
# Of random examples, for axes of any size.
_SIZE = 16


@dataclasses.dataclass(frozen=True)
class NetworkInputs:
    """The inputs of the network as they are: a tensor of any rank, or a nest.

    Args:
        specs: Nest of `tf.TensorSpec`, see `networks.input_specs`.
        examples: Optional nest of arrays. Defaults to `None`: random noise.
    """

    specs: Any
    examples: Any = None

    def prepare(self, inputs: Any) -> Any:
        """Returns the inputs of the network."""
        return inputs

    def metadata(self) -> dict[str, Any]:
        """Returns the fields of `ModuleMetadata` that describe the inputs."""
        inputs = [
            {"name": spec.name, "shape": spec.shape.as_list(), "dtype": spec.dtype.name}
            for spec in keras.tree.flatten(self.specs)
        ]
        return {"input_shape": [], "inputs": inputs}

    def signatures(self, bits: int = 16) -> dict:
        """Returns no further signatures."""
        del bits
        return {}

    def sample(self, folder: Path | None = None) -> tuple[Any, dict[str, np.ndarray]]:
        """Returns `(inputs, arrays)`, see `ImageInputs.sample`."""
        del folder
        examples = self.examples
        if examples is None:
            rng = np.random.default_rng(0)
            examples = keras.tree.map_structure(lambda s: _noise(s, rng), self.specs)
        arrays = {
            f"input_{number}": np.asarray(array)
            for number, array in enumerate(keras.tree.flatten(examples))
        }
        return keras.tree.map_structure(tf.constant, examples), arrays


def network_inputs(backbone: keras.Model, examples: Any) -> NetworkInputs:
    """Checks the examples of a backbone whose inputs are not images.

    Args:
        backbone: `keras.Model` from any inputs to features.
        examples: Optional nest of arrays, see `export_backbone`.

    Returns:
        `NetworkInputs`, whose specs have names that differ.

    Raises:
        UsageError: If the inputs of the backbone are not known, or the examples do not
            fit them.
    """
    specs = input_specs(backbone)
    if specs is None:
        raise UsageError(
            f"the inputs of the backbone {backbone.name!r} are not known: build it "
            "from a keras.Input."
        )
    specs = _named(specs)
    if examples is not None:
        found = arranged(examples, specs)
        arrays = [] if found is None else keras.tree.flatten(found)
        rows = {len(array) for array in arrays}
        if len(rows) != 1 or 0 in rows:
            raise UsageError(
                "examples must be arrays of the same number of rows, with the "
                f"structure and shapes that the backbone {backbone.name!r} takes."
            )
        examples = keras.tree.map_structure(_as_array, found, specs)
    inputs = NetworkInputs(specs, examples)
    _check_features(backbone, inputs)
    return inputs


def _check_features(backbone, inputs):
    """Raises `UsageError` if the backbone cannot compute features of the examples."""
    values, _ = inputs.sample()
    try:
        backbone(values, training=False)
    # Keras and TensorFlow raise various errors.
    except Exception as error:
        kind = "random " if inputs.examples is None else ""
        raise UsageError(
            f"the backbone {backbone.name!r} cannot compute features of {kind}examples "
            f"({one_line(error)}): pass a few of its inputs as examples=..."
        ) from error


def _named(specs):
    """Returns the specs with the names of the module's inputs."""
    if isinstance(specs, tf.TensorSpec):
        return tf.TensorSpec(specs.shape, specs.dtype, name=_NAME)
    leaves = keras.tree.flatten_with_path(specs)
    names = [spec.name or "_".join(map(str, path)) for path, spec in leaves]
    if len(set(names)) < len(names):
        names = ["_".join(map(str, path)) for path, _ in leaves]
    named = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, (_, spec) in zip(names, leaves, strict=True)
    ]
    return keras.tree.pack_sequence_as(specs, named)


def _as_array(values, spec):
    if spec.dtype == tf.string:
        return np.asarray(values, np.bytes_)
    return np.asarray(values, spec.dtype.as_numpy_dtype)


def _noise(spec, rng):
    """Draws random values, always the same; integers are 0 or 1, valid categories."""
    shape = [_COUNT, *(size or _SIZE for size in spec.shape[1:])]
    if spec.dtype == tf.string:
        return np.zeros(shape, "S1")
    if spec.dtype.is_floating:
        return rng.normal(size=shape).astype(spec.dtype.as_numpy_dtype)
    return rng.integers(0, 2, shape).astype(spec.dtype.as_numpy_dtype)
