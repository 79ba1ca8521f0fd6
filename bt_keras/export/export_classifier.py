"""Write a classifier as a `.keras` file, and as a SavedModel that needs no bt_keras."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

import tensorflow as tf

from bt_keras.errors import UsageError
from bt_keras.evaluation.train_classifier import TrainedClassifier
from bt_keras.export import saved_model
from bt_keras.export.image_inputs import ImageInputs
from bt_keras.files import atomic
from bt_keras.networks import statistics_of

_CLASS_NAMES = "class_names.json"


def check_out(path: str | os.PathLike, savedmodel: bool = False) -> Path:
    """Checks that a classifier can be written, before training, which may take hours.

    Args:
        path: String or path of a new file that ends in `.keras`.
        savedmodel: Boolean, whether a SavedModel is written beside it, into a folder
            of the same name without `.keras`. Defaults to `False`.

    Returns:
        The absolute path.

    Raises:
        UsageError: If the path has another suffix, or the file or the folder exists.
    """
    path = Path(path).expanduser()
    if path.suffix != ".keras":
        raise UsageError(f"--out={path} must end in .keras.")
    atomic.check_free(path)
    path = path.resolve()
    if savedmodel:
        atomic.check_free(path.with_suffix(""))
    return path


def export_classifier(
    trained: TrainedClassifier, path: str | os.PathLike, savedmodel: bool = False
) -> list[Path]:
    """Writes a classifier; all of its files appear, or none.

    `keras.models.load_model` loads the `.keras` file in a process that has imported
    bt_keras; its `class_names` are the classes in the order of the probabilities.

    The SavedModel has the signatures `serving_default` (float32 images in [0, 1]),
    `uint8` (levels) and, for RGB and gray images, `encoded` (the bytes of JPEG and PNG
    files, which are resized and cropped as for the held-out accuracy), each with the
    outputs `probabilities`, float32 (N, K), and `labels`, strings (N,), the names of
    the most probable classes; and the file assets/class_names.json.

    Args:
        trained: `TrainedClassifier`.
        path: String or path, as for `check_out`.
        savedmodel: Boolean, as for `check_out`. Defaults to `False`.

    Returns:
        List of the paths that were written.

    Raises:
        UsageError: If a path exists already or cannot be written.
    """
    path = check_out(path, savedmodel)
    folder = path.with_suffix("")
    with contextlib.ExitStack() as undo:
        # HDF5 raises RuntimeError for some errors of the file system.
        with atomic.atomic_file(path, errors=(RuntimeError,)) as file:
            trained.model.save(file)
            if savedmodel:
                errors = (tf.errors.OpError,)
                with atomic.atomic_directory(folder, errors=errors) as temporary:
                    _save_savedmodel(temporary, trained)
                undo.callback(shutil.rmtree, folder, ignore_errors=True)
        undo.pop_all()
    return [path, folder] if savedmodel else [path]


def _save_savedmodel(folder, trained):
    names = json.dumps(trained.model.class_names)
    # A SavedModel copies its assets.
    asset = folder.with_name(_CLASS_NAMES)
    asset.write_text(names, encoding="utf-8")
    module = _Module(trained.model, tf.saved_model.Asset(str(asset)))
    inputs = ImageInputs(
        trained.model.input_shape,
        statistics_of(trained.model),
        trained.image_size,
        trained.resize_ratio,
    )
    signatures = saved_model.input_signatures(module.classify, inputs, trained.bits)
    tf.saved_model.save(module, str(folder), signatures)


class _Module(saved_model.Part):
    """The object that is saved."""

    def __init__(self, model, asset):
        super().__init__(model, class_names_file=asset)
        self._names = tf.constant(model.class_names)
        # The lambda hides the Keras layers, which must not be saved.
        self._network = lambda images: model(images, training=False)

    def classify(self, images):
        probabilities = self._network(images)
        best = tf.argmax(probabilities, axis=-1)
        return {
            "probabilities": probabilities,
            "labels": tf.gather(self._names, best),
        }
