"""Export a network, and check the result by loading it again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bt_keras.augmentation.statistics import IMAGENET
from bt_keras.errors import UsageError
from bt_keras.export import archive, keras_format, reference_sample, verify
from bt_keras.export.export_backbone import export_backbone
from bt_keras.export.formats import FORMATS
from bt_keras.export.source import ExportSource
from bt_keras.files import atomic
from bt_keras.progress_bar import ProgressBar
from bt_keras.workdir import Workdir

# Relative to the largest feature, for formats other than the module.
_TOLERANCE = 1e-4
# Suffixes that a module's folder must not have.
_FILES = (".keras", ".tflite", ".onnx", ".pth", ".h5", ".gz", ".tar", ".tgz", ".zip")


def export(
    load: Callable[[], ExportSource],
    folder: str | os.PathLike,
    *,
    projector: bool = False,
    workdir: Workdir | None = None,
) -> list[verify.Check]:
    """Exports a backbone as a module for TensorFlow Hub.

    Args:
        load: Function without arguments that returns the `ExportSource`. It is called
            once the folder is known to be free.
        folder: String or path of the module's folder, which must not exist or be
            empty. `folder.tar.gz` next to it becomes an archive of the module.
        projector: Boolean, whether to export the projector, too. Defaults to `False`.
        workdir: Optional `Workdir` of the run that is exported; the number of passed
            checks is written to its export.json. Defaults to `None`.

    Returns:
        List of `bt_keras.export.verify.Check`: the module's outputs in a process
        without bt_keras, compared with those of the model for the source's images.

    Raises:
        UsageError: If the folder or the archive exists already or cannot be written,
            or the network cannot be loaded or exported.
    """
    folder = Path(folder).expanduser().resolve()
    _check_folder_name(folder, "a module")
    packed = folder.with_name(folder.name + ".tar.gz")
    atomic.check_free(packed)
    atomic.check_empty(folder)
    source = load()
    if workdir:
        workdir.check_writable()
    with ProgressBar("export", total=3, unit="step") as bar:
        export_backbone(
            source.model,
            folder,
            projector=projector,
            statistics=source.statistics,
            image_size=source.image_size,
            resize_ratio=source.resize_ratio,
            images=source.images,
            about=source.about,
        )
        bar.advance()
        try:
            archive.pack(folder, packed)
            bar.advance()
            checks = verify.verify(folder)
            bar.advance()
            if workdir:
                _report(workdir, folder, checks)
        # A full disk, a signal: the same command can be repeated.
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            packed.unlink(missing_ok=True)
            raise
    return checks


def export_as(
    name: str, load: Callable[[], ExportSource], path: str | os.PathLike
) -> float:
    """Exports a backbone in a format other than the module.

    Args:
        name: String, a key of `FORMATS`.
        load: Function, as for `export`.
        path: String or path of a new file with the format's suffix, or of a folder that
            does not exist or is empty.

    Returns:
        Float, the largest difference between the features of the model and of what was
        written, relative to the largest feature.

    Raises:
        UsageError: If the path exists already, cannot be written or has another suffix,
            the network cannot be loaded or converted, or the features differ.
    """
    form = FORMATS[name]
    path = _check_path(path, form.suffix)
    module = form.load()
    source = load()
    normalization = source.statistics or IMAGENET
    images = source.crops()
    # Not every format has mixed precision, and half precision is compared too coarsely.
    backbone = keras_format.in_float32(source.backbone)
    expected = reference_sample.features(backbone, images, normalization)
    write = module.writer(backbone, source.image_size, normalization)

    def write_checked(temporary):
        write(temporary)
        features = module.features(temporary, images / np.float32(255.0))
        return _relative_difference(expected, features)

    return _write_checked(path, form.suffix, write_checked)


def _report(workdir, folder, checks):
    passed = sum(check.passed for check in checks)
    counts = {"module": str(folder), "checks": len(checks), "passed": passed}
    workdir.replace(workdir.export_report, json.dumps(counts, indent=2) + "\n")


def _relative_difference(expected, features):
    return float(np.abs(features - expected).max() / np.abs(expected).max())


def _check_path(path: str | os.PathLike, suffix: str) -> Path:
    path = Path(path).expanduser().resolve()
    if not suffix:
        _check_folder_name(path, "the export")
        atomic.check_empty(path)
        return path
    if path.suffix != suffix:
        raise UsageError(f"--out={path} must end in {suffix}.")
    atomic.check_free(path)
    return path


def _check_folder_name(folder: Path, what: str) -> None:
    if not folder.name:
        raise UsageError(f"--out={folder} cannot be {what}: name a new folder.")
    if folder.suffix in _FILES:
        raise UsageError(
            f"--out={folder} is the name of a file, but {what} is a folder: name a "
            "new folder, or the format with --format."
        )


def _write_checked(path: Path, suffix: str, write: Callable[[Path], float]) -> float:
    """Writes a file or folder unless its features differ by too much.

    Returns:
        Float, their relative difference.
    """
    atomically = atomic.atomic_file if suffix else atomic.atomic_directory
    # HDF5 raises RuntimeError for some errors of the file system.
    with atomically(path, errors=(RuntimeError,)) as temporary:
        difference = write(temporary)
        if not difference <= _TOLERANCE:
            raise UsageError(
                f"{path} was not written: after reloading, the features differ by "
                f"{difference:.2g} of the largest feature, more than {_TOLERANCE:g}; "
                "export another --format."
            )
    return difference
