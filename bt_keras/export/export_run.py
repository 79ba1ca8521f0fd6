"""Export a checkpoint of a run, and check the result by loading it again."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from bt_keras.checkpoint import latest
from bt_keras.data.from_config import open_source, statistics
from bt_keras.errors import UsageError, one_line
from bt_keras.evaluation import results
from bt_keras.export import (
    archive,
    export_backbone,
    image_inputs,
    keras_format,
    reference_sample,
    tflite_format,
    verify,
)
from bt_keras.files import atomic
from bt_keras.progress_bar import ProgressBar
from bt_keras.workdir import Workdir

# How many of the run's images are stored in the module.
_SAMPLE_COUNT = 4
# Relative to the largest feature, for `.keras` and `.tflite` files.
_TOLERANCE = 1e-4


def export(
    workdir: Workdir,
    folder: str | os.PathLike,
    *,
    projector: bool = False,
    license: str | None = None,
    checkpoint: str | None = None,
) -> list[verify.Check]:
    """Exports the backbone of a run as a module for TensorFlow Hub.

    The number of passed checks is written to export.json in the workdir.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        folder: String or path of the module's folder, which must not exist or be
            empty. `folder.tar.gz` next to it becomes an archive of the module.
        projector: Boolean, whether to export the projector, too. Defaults to `False`.
        license: Optional string, the SPDX name of the weights' license. Defaults to
            `None`.
        checkpoint: Optional string, the name of a checkpoint, such as `"epoch-0050"`.
            Defaults to `None`: the newest.

    Returns:
        List of `bt_keras.export.verify.Check`: the module's outputs in a process
        without bt_keras, compared with those of the training model for images of the
        run.

    Raises:
        UsageError: If the run has no such checkpoint, or the folder or the archive
            exists already or cannot be written.
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.name:
        raise UsageError(f"--out={folder} cannot be a module: name a new folder.")
    packed = folder.with_name(folder.name + ".tar.gz")
    atomic.check_free(packed)
    config, progress, model = _load(workdir, checkpoint)
    workdir.check_writable()
    with ProgressBar("export", total=3, unit="step") as bar:
        export_backbone(
            model,
            folder,
            projector=projector,
            statistics=statistics(config),
            image_size=config.views.size,
            resize_ratio=config.evaluation.resize_ratio,
            images=_sample_images(config),
            about=_about(config, progress, results.read(workdir.results_file), license),
        )
        bar.advance()
        try:
            archive.pack(folder, packed)
            bar.advance()
            checks = verify.verify(folder)
            bar.advance()
            passed = sum(check.passed for check in checks)
            counts = {"module": str(folder), "checks": len(checks), "passed": passed}
            workdir.replace(workdir.export_report, json.dumps(counts, indent=2) + "\n")
        except (
            BaseException
        ):  # A full disk, a signal: the same command can be repeated.
            shutil.rmtree(folder, ignore_errors=True)
            packed.unlink(missing_ok=True)
            raise
    return checks


def export_keras(
    workdir: Workdir, path: str | os.PathLike, checkpoint: str | None = None
) -> float:
    """Exports the backbone of a run as a `.keras` file of Keras's own layers.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        path: String or path of a new file that ends in `.keras`.
        checkpoint: Optional string, as for `export`. Defaults to `None`.

    Returns:
        Float, the largest difference between the features of the model and of the
        file, relative to the largest feature.

    Raises:
        UsageError: If the run has no such checkpoint, the path exists already, cannot
            be written or has another suffix, or the features differ.
    """
    path = _check_path(path, ".keras")
    config, _, model = _load(workdir, checkpoint)
    normalization = statistics(config)
    portable = keras_format.with_keras_layers(model.backbone, normalization)
    images = _crops(config)
    expected = reference_sample.features(model.backbone, images, normalization)

    def write(temporary):
        portable.save(temporary)
        reloaded = keras.models.load_model(temporary, compile=False)
        return _relative_difference(expected, reloaded(images / 255.0))

    return _write_checked(path, write)


def export_tflite(
    workdir: Workdir, path: str | os.PathLike, checkpoint: str | None = None
) -> float:
    """Exports the backbone of a run for TensorFlow Lite.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        path: String or path of a new file that ends in `.tflite`.
        checkpoint: Optional string, as for `export`. Defaults to `None`.

    Returns:
        Float, as for `export_keras`.

    Raises:
        UsageError: As for `export_keras`.
    """
    path = _check_path(path, ".tflite")
    config, _, model = _load(workdir, checkpoint)
    size, normalization = config.views.size, statistics(config)
    contents = tflite_format.convert(model.backbone, size, normalization)
    images = _crops(config)
    expected = reference_sample.features(model.backbone, images, normalization)

    def write(temporary):
        temporary.write_bytes(contents)
        features = tflite_format.run(temporary.read_bytes(), images / np.float32(255.0))
        return _relative_difference(expected, features)

    return _write_checked(path, write)


def _about(config, progress, measured, license):
    """Describes the training for the model card, without paths of this machine."""
    fields = json.loads(config.to_json())
    fields["data"]["source"] = _public_name(fields["data"]["source"])
    return {
        "config": fields,
        "epochs": progress.epochs,
        "steps": progress.step,
        "results": [
            {**result.row(), "source": _public_name(result.source)}
            for result in measured
        ],
        "license": license,
    }


def _public_name(source):
    is_folder = os.path.isdir(os.path.expanduser(source))
    return os.path.basename(os.path.abspath(source)) if is_folder else source


def _load(workdir, checkpoint):
    """Returns `(config, progress, model)` of a run's checkpoint."""
    config = workdir.checked_config()
    return config, *latest.load_checkpoint(workdir, config, checkpoint)


def _sample_images(config):
    """Returns the first images of the run's data, uint8, of any sizes.

    A run whose images are missing is exported anyway, with random noise instead: then
    the result is `None`, after a warning.
    """
    try:
        source = open_source(config)
        first = itertools.islice(source.dataset(), _SAMPLE_COUNT)
        return [image.numpy() for image, _ in first]
    # TensorFlow's errors are those of the pipeline that reads the images.
    except (UsageError, OSError, tf.errors.OpError) as error:
        logging.warning(
            "The images of the run cannot be read (%s). The export is compared with "
            "the model on random noise instead.",
            one_line(error, None).rstrip("."),
        )
        return None


def _crops(config):
    images = _sample_images(config)
    if images is None:
        return image_inputs.noise(*[config.views.size] * 2, config.data.channels)
    return image_inputs.resize_and_crop(
        images, config.views.size, config.evaluation.resize_ratio
    )


def _relative_difference(expected, features):
    return float(np.abs(features - expected).max() / np.abs(expected).max())


def _check_path(path: str | os.PathLike, suffix: str) -> Path:
    path = Path(path).expanduser().resolve()
    if path.suffix != suffix:
        raise UsageError(f"--out={path} must end in {suffix}.")
    atomic.check_free(path)
    return path


def _write_checked(path: Path, write: Callable[[Path], float]) -> float:
    """Writes a file unless its features differ; returns their relative difference."""
    # HDF5 raises RuntimeError for some errors of the file system.
    with atomic.atomic_file(path, errors=(RuntimeError,)) as temporary:
        difference = write(temporary)
        if not difference <= _TOLERANCE:
            raise UsageError(
                f"{path} was not written: the features of the reloaded file differ by "
                f"{difference:.2g} of the largest feature, more than {_TOLERANCE:g}; "
                "export another --format."
            )
    return difference
