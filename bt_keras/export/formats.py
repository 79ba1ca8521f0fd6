"""The formats of exports other than the module, by the names that `--format` takes.

The module of a format has two functions:

- `writer(backbone, image_size, statistics)` converts a backbone, a `keras.Model` from
  normalized images, and returns a function that writes it to a path. What is written
  takes images in [0, 1].
- `features(path, images)` loads what was written, and computes the features, float32
  (N, F), of float32 images (N, image_size, image_size, C) in [0, 1].
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from bt_keras import extras

MODULE = "savedmodel"  # The name of the format that is not in the table.


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of exports.

    Args:
        name: String, its name for `--format`.
        module: String, the name of its module.
        file: String, the name of what is written, unless the user gives another. Its
            suffix, if any, is that of the format's files; otherwise it is a folder.
        summary: String, for the help of `--format`.
        extra: String, the extra of setup.cfg that it needs. Defaults to none.
        packages: Mapping from the modules of the extra to their packages.
    """

    name: str
    module: str
    file: str
    summary: str
    extra: str = ""
    packages: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """The suffix of the format's files, or an empty string for folders."""
        return Path(self.file).suffix

    def load(self) -> ModuleType:
        """Imports the format's module; raises `UsageError` if a package is missing."""
        extras.require(f"--format={self.name}", self.extra, self.packages)
        return importlib.import_module(self.module)


_ALL = (
    Format(
        "keras",
        "bt_keras.export.keras_format",
        "backbone.keras",
        "a .keras file that Keras loads without bt_keras",
    ),
    Format(
        "tflite",
        "bt_keras.export.tflite_format",
        "backbone.tflite",
        "a file for TensorFlow Lite",
    ),
    Format(
        "onnx",
        "bt_keras.export.onnx_format",
        "backbone.onnx",
        "an .onnx file for ONNX Runtime and other programs",
        extra="onnx",
        packages={name: name for name in ("tf2onnx", "onnx", "onnxruntime")},
    ),
    Format(
        "keras_hub",
        "bt_keras.export.keras_hub_format",
        "keras_hub",
        "a preset folder for keras_hub, of ResNets of full width with the ImageNet "
        "stem",
        extra="keras-hub",
        packages={"keras_hub": "keras-hub"},
    ),
)
FORMATS = {each.name: each for each in _ALL}
