"""Export: what a run has learnt, in a form for others, checked by loading it again."""

import itertools
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np

from bt_keras import atomic, data
from bt_keras.checkpoint import latest, save_restore
from bt_keras.errors import UsageError
from bt_keras.export import (
    archive,
    export_backbone,
    keras_format,
    reference_sample,
    tflite_format,
    verify,
)

# How many of the run's images go with a module.
_SAMPLES = 4
# Of the largest feature, for files of other formats.
_BOUND = 1e-4


def export(workdir, folder, *, projector=False, license=None):
    """Exports a run's newest backbone as a module for TensorFlow Hub.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        folder: str or path of the module, which must be new or empty. `folder.tar.gz`
            beside it holds the same.
        projector: bool, whether the projector comes along.
        license: optional str, the licence of the weights, an SPDX name.

    Returns:
        list of `bt_keras.export.verify.Check`: what the module gives in a fresh process
        without bt_keras, against what the training model gives of the run's own
        images. The count goes to export.json.

    Raises:
        UsageError: if the run has no checkpoint, or the folder or the archive is taken
            or cannot be written.
    """
    folder = Path(folder).resolve()
    if not folder.name:
        raise UsageError(f"--out={folder} is no folder for a module.")
    packed = folder.with_name(folder.name + ".tar.gz")
    atomic.check_free(packed)
    config, progress, model = _newest(workdir)
    workdir.check_writable()
    export_backbone(
        model,
        folder,
        projector=projector,
        image_size=config.views.size,
        resize_ratio=config.evaluation.resize_ratio,
        images=_images(config),
        about=_about(config, progress, workdir.results(), license),
    )
    try:
        archive.pack(folder, packed)
    except UsageError:
        shutil.rmtree(folder)  # Both or neither: the same command can be tried again.
        raise
    checks = verify.verify(folder)
    passed = sum(check.passed for check in checks)
    known = {"module": str(folder), "checks": len(checks), "passed": passed}
    workdir.replace(workdir.export_report, json.dumps(known, indent=2) + "\n")
    return checks


def export_keras(workdir, path):
    """Exports a run's newest backbone as a `.keras` file of Keras's own layers.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        path: str or path that ends in `.keras` and does not exist yet.

    Returns:
        float, the largest difference of features after reloading, in parts of the
        largest feature.

    Raises:
        UsageError: if the run has no checkpoint, or the path is taken, cannot be
            written, or ends otherwise; if the features differ.
    """
    path = _free(path, ".keras")
    config, _, model = _newest(workdir)
    portable = keras_format.portable(model.backbone)

    def write(temporary):
        portable.save(temporary)
        images = _crops(config)
        again = keras.models.load_model(temporary, compile=False)
        return _difference(model.backbone, images, again(images / 255.0))

    return _written(path, write)


def export_tflite(workdir, path):
    """Exports a run's newest backbone for TensorFlow Lite.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        path: str or path that ends in `.tflite` and does not exist yet.

    Returns:
        float, as `export_keras`.

    Raises:
        UsageError: as `export_keras`.
    """
    path = _free(path, ".tflite")
    config, _, model = _newest(workdir)

    def write(temporary):
        contents = tflite_format.convert(model.backbone, config.views.size)
        temporary.write_bytes(contents)
        images = _crops(config)
        again = tflite_format.run(temporary.read_bytes(), images / np.float32(255.0))
        return _difference(model.backbone, images, again)

    return _written(path, write)


def _about(config, progress, results, license):
    """What the card says of a run, without where on this machine the images are."""
    fields = json.loads(config.to_json())
    fields["data"]["source"] = _public_name(fields["data"]["source"])
    return {
        "config": fields,
        "epochs": progress.epochs,
        "steps": progress.step,
        "results": [{**row, "source": _public_name(row["source"])} for row in results],
        "license": license,
    }


def _public_name(source):
    is_folder = os.path.isdir(os.path.expanduser(source))
    return os.path.basename(os.path.abspath(source)) if is_folder else source


def _newest(workdir):
    """`(config, progress, model)` of a run's newest checkpoint."""
    config = workdir.config()
    progress, path = latest.require_checkpoint(workdir)
    return config, progress, save_restore.load(path)


def _images(config):
    """The first images of the run's data, uint8, of whatever sizes."""
    source = data.load(
        config.data.source, config.data.train_split, config.data.skip_corrupt
    )
    first = itertools.islice(source.dataset(), _SAMPLES)
    return [image.numpy() for image, _ in first]


def _crops(config):
    ratio = config.evaluation.resize_ratio
    return reference_sample.cropped(_images(config), config.views.size, ratio)


def _difference(backbone, images, features):
    expected = reference_sample.features(backbone, images)
    return float(np.abs(features - expected).max() / np.abs(expected).max())


def _free(path, suffix):
    path = Path(path).resolve()
    if path.suffix != suffix:
        raise UsageError(f"--out={path} must end in {suffix}.")
    atomic.check_free(path)
    return path


def _written(path, write):
    """Writes a file whole or not at all; returns what `write` says of it."""
    with atomic.atomic_file(path) as temporary:
        difference = write(temporary)
        if not difference <= _BOUND:
            raise UsageError(
                f"{path} is not written: reloaded, its features differ from the "
                f"model's by {difference:.2g} of the largest, more than {_BOUND:g}."
            )
    return difference
