"""Export: a workdir's backbone as a SavedModel, checked by loading it elsewhere."""

import itertools
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from bt_keras import data, hub, runs
from bt_keras.augmentation import ops
from bt_keras.workdir import write_atomically

_CHECK_IMAGES = 32


def export(workdir, folder):
    """Exports a run's newest backbone and compares it with its reloaded self.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        folder: str or path of the SavedModel's folder, which must be new or empty.

    Returns:
        `(folder, difference)`: the path, and the largest absolute difference between
        the backbone's features of the run's own images and those of the module,
        loaded by TensorFlow Hub in a fresh process. Both go to export.json.

    Raises:
        UsageError: if the run has no checkpoint, or the folder is taken or cannot be
            written.
    """
    config = workdir.config()
    _, model = runs.load_model(workdir, config)
    workdir.check_writable()
    folder = Path(folder)
    images = _images(config)
    hub.export_backbone(model, folder)
    difference = hub.reload_difference(model.backbone, folder, images)
    facts = {"module": str(folder), "largest_difference": difference}
    write_atomically(workdir.export_report, json.dumps(facts, indent=2) + "\n")
    return folder, difference


def _images(config):
    """The first images of the run's data, float32 in [0, 1]."""
    source = data.load(
        config.data.source, config.data.train_split, config.data.skip_corrupt
    )
    size = config.views.size
    crops = [
        ops.resize_and_center_crop(image[tf.newaxis], size, size)[0]
        for image, _ in itertools.islice(source.dataset(), _CHECK_IMAGES)
    ]
    return np.stack(crops).astype(np.float32) / 255.0
