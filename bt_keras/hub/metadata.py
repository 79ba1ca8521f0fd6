"""Metadata of an exported module, stored as JSON in the module's folder.

The model card is rendered from it, `bt-keras export --verify` compares the module with
it, and `rebuild.py` builds the Keras model of its architecture.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import typing
from pathlib import Path

from bt_keras.augmentation import statistics
from bt_keras.augmentation.statistics import Statistics
from bt_keras.errors import UsageError, one_line, shown
from bt_keras.files.reading import parse_json_object, read_text

# SavedModel reserves this folder for files of the user.
FOLDER = "assets.extra"
# In this folder, see `export/reference_sample.py`.
SAMPLE = "sample.npz"
_FILE = "bt_keras.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModuleMetadata:
    """Everything that is recorded about an exported module.

    All values are JSON values. The fields without a default are in every module;
    modules of earlier versions may lack the others.

    Args:
        name: String, the name of the backbone.
        architecture: Dict, the Keras configuration of the backbone, or `None` if Keras
            cannot serialize it.
        parameters: Optional integer, the number of the backbone's weights.
        multiply_adds: Optional integer, the multiply-adds of the features of an image
            of `image_size` pixels, if all of them could be counted.
        image_size: Optional integer, side in pixels of the squares that encoded images
            are resized and cropped to.
        resize_ratio: Optional float, at least 1: encoded images are resized to
            `resize_ratio * image_size` pixels on the shorter side before the crop.
        input_shape: List `[None, height, width, channels]`; `None` for any size. Empty
            if the module does not take images.
        mean: Optional list of floats, the mean of every band of images in [0, 1], which
            the module subtracts. Modules of earlier versions have ImageNet's.
        deviation: Optional list of floats, the standard deviation, like `mean`.
        feature_dim: Integer, the width of the features.
        strides: List of integers, the strides of the feature maps, ascending.
        embedding_dim: Integer, the width of the projector's embeddings, or `None` if
            the projector is not exported.
        variables: Integer, the number of the backbone's variables.
        trainable_variables: Integer, how many of them are trainable.
        statistics: Integer, how many of them batch normalization updates in training.
        regularization_losses: Integer, the number of regularization losses.
        stored_arrays: Integer, the number of variables in the checkpoint, the
            projector's included.
        signatures: List of strings, the names of the serving signatures.
        versions: Dict, from the name of a package to the version that exported.
        config: Optional dict, the config of the run.
        epochs: Optional string, the number of epochs of the training.
        steps: Optional integer, the number of steps of the training.
        results: Optional list of dicts, the rows of the run's results.csv.
        license: Optional string, the SPDX name of the weights' license.
        published: Optional string, the name of a published model.
        commands: Optional list of strings, the commands that trained and measured it.
        latency: Optional list of strings, lines of times and where they were measured.
        limits: Optional list of strings, sentences on what it is not for.
        inputs: Optional list of dicts, the `name`, `shape` and `dtype` of every input
            of a module that does not take images, in TensorFlow's order of the nest.

    Raises:
        ValueError: If a value has another type or is out of range.
    """

    name: str = "backbone"
    architecture: dict | None
    parameters: int | None = None
    multiply_adds: int | None = None
    image_size: int | None = None
    resize_ratio: float | None = None
    input_shape: list
    mean: list | None = None
    deviation: list | None = None
    feature_dim: int
    strides: list
    embedding_dim: int | None
    variables: int
    trainable_variables: int
    statistics: int
    regularization_losses: int
    stored_arrays: int
    signatures: list
    versions: dict = dataclasses.field(default_factory=dict)
    config: dict | None = None
    epochs: str | None = None
    steps: int | None = None
    results: list | None = None
    license: str | None = None
    published: str | None = None
    commands: list | None = None
    latency: list | None = None
    limits: list | None = None
    inputs: list | None = None

    def __post_init__(self):
        for name, kind in typing.get_type_hints(type(self)).items():
            if not _is_of_kind(getattr(self, name), kind):
                raise ValueError(f"{name} is {shown(getattr(self, name))}")
        sides = self.input_shape[1:3] if len(self.input_shape) == 4 else [""]
        if self.inputs is not None:
            sides = []
            if not all(map(_is_input, self.inputs)):
                raise ValueError(f"inputs is {shown(self.inputs)}")
        for name, values in {
            "input_shape": (side for side in sides if side is not None),
            "strides": self.strides,
            "image_size": [] if self.image_size is None else [self.image_size],
        }.items():
            if not all(_is_of_kind(value, int) and value > 0 for value in values):
                raise ValueError(f"{name} is {shown(getattr(self, name))}")
        if not all(_is_of_kind(name, str) for name in self.signatures):
            raise ValueError(f"signatures is {shown(self.signatures)}")
        channels = self.input_shape[-1] if len(self.input_shape) == 4 else None
        if channels is not None and channels != self.normalization.channels:
            raise ValueError(f"mean is {shown(self.mean)}")
        if self.resize_ratio is not None and not 1 <= self.resize_ratio < math.inf:
            raise ValueError(f"resize_ratio is {self.resize_ratio}")

    @property
    def normalization(self) -> Statistics:
        """`Statistics` that the module normalizes images with."""
        if self.mean is None or self.deviation is None:
            return statistics.IMAGENET
        return statistics.check((self.mean, self.deviation))

    @property
    def bits(self) -> int:
        """Significant bits of encoded images with more than 8 bits."""
        return (self.config or {}).get("data", {}).get("bits", 16)

    def to_json(self) -> str:
        """Formats the metadata as JSON, without the optional fields that are `None`."""
        optional = {f.name for f in dataclasses.fields(self) if f.default is None}
        fields = {
            name: value
            for name, value in vars(self).items()
            if value is not None or name not in optional
        }
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ModuleMetadata:
        """Parses what `to_json` returned; unknown fields are ignored.

        Raises:
            ValueError: If the text is not JSON, a required field is missing, or a value
                has another type or is out of range.
        """
        values = parse_json_object(text)
        names = {field.name for field in dataclasses.fields(cls)}
        try:
            return cls(**{n: value for n, value in values.items() if n in names})
        except TypeError as error:
            raise ValueError("fields are missing") from error

    def write(self, folder: str | os.PathLike) -> None:
        """Writes the metadata into a module's folder of extra files."""
        Path(folder, _FILE).write_text(self.to_json(), encoding="utf-8", newline="\n")


def _is_input(value) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("shape"), list)
        and isinstance(value.get("dtype"), str)
    )


def _is_of_kind(value, kind) -> bool:
    """Returns whether a JSON value has a type; a boolean is not a number."""
    if isinstance(value, bool):
        return False
    return isinstance(value, kind | int if kind == float | None else kind)


def read(folder: str | os.PathLike, handle: str | os.PathLike) -> ModuleMetadata:
    """Reads the metadata of a module.

    Args:
        folder: Path of the module.
        handle: The handle as given by the user, for error messages.

    Returns:
        A `ModuleMetadata`.

    Raises:
        UsageError: If the module has no metadata or they cannot be read.
    """
    try:
        return ModuleMetadata.from_json(read_text(Path(folder, FOLDER, _FILE)))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"module {handle} was not exported by bt_keras, or is incomplete: it has "
            f"no readable {FOLDER}/{_FILE} ({one_line(error)})."
        ) from error


def has_architecture(folder: str | os.PathLike) -> bool:
    """Returns whether bt_keras exported a module with the network's architecture.

    Args:
        folder: Path of the module.

    Returns:
        Boolean; `True` also for metadata that are damaged.
    """
    return _has(folder, lambda metadata: metadata.architecture is not None, False)


def takes_images(folder: str | os.PathLike) -> bool:
    """Returns whether a module takes images in [0, 1], as those of others do.

    Args:
        folder: Path of the module.

    Returns:
        Boolean.
    """
    return _has(folder, lambda metadata: metadata.inputs is None, True)


def _has(folder, condition, default):
    """Returns whether metadata fulfill a condition; a default without metadata."""
    try:
        return condition(
            ModuleMetadata.from_json(read_text(Path(folder, FOLDER, _FILE)))
        )
    except FileNotFoundError:
        return default
    except (OSError, ValueError):
        return True
