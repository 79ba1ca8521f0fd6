"""What is exported: the network of a run, or of pretrained weights."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.checkpoint import latest
from bt_keras.convert import pretrained
from bt_keras.data.from_config import evaluation_size, open_source, statistics
from bt_keras.errors import UsageError, one_line
from bt_keras.evaluation import results
from bt_keras.export import image_inputs
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.model.from_config import check_evaluation_size
from bt_keras.networks import input_specs
from bt_keras.workdir import Workdir

# How many of the run's images are stored in the module.
_SAMPLE_COUNT = 4
_RESIZE_RATIO = 256 / 224


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSource:
    """A network to export, and what the export records about it.

    Args:
        model: `bt_keras.BarlowTwins`, or a `keras.Model` from normalized images to
            features.
        image_size: Integer > 0, side in pixels of the crops of encoded images.
        resize_ratio: Float, at least 1, as for `bt_keras.export_backbone`.
        statistics: `Statistics` that the network's images are normalized with, or
            `None` for those of ImageNet. Defaults to `None`.
        images: List of uint8 arrays (H, W, C) to compare features of, or `None` for
            random noise. Defaults to `None`.
        about: Mapping, as for `bt_keras.export_backbone`.
        left: List of strings, what the source contains besides the network. Defaults to
            none.
    """

    model: keras.Model
    image_size: int
    resize_ratio: float
    statistics: Statistics | None = None
    images: list | None = None
    about: Mapping
    left: list = dataclasses.field(default_factory=list)

    @property
    def backbone(self) -> keras.Model:
        """The network from normalized images to features."""
        is_whole = isinstance(self.model, BarlowTwins)
        return self.model.backbone if is_whole else self.model

    def crops(self) -> np.ndarray:
        """Returns the images, or random noise, as uint8 (N, size, size, C)."""
        if self.images is None:
            channels = (self.statistics or IMAGENET).channels
            return image_inputs.noise(self.image_size, self.image_size, channels)
        return image_inputs.resize_and_crop(
            self.images, self.image_size, self.resize_ratio
        )


def from_run(
    workdir: Workdir, checkpoint: str | None = None, license: str | None = None
) -> ExportSource:
    """Loads the network of a run's checkpoint.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        checkpoint: Optional string, the name of a checkpoint, such as `"epoch-0050"`.
            Defaults to `None`: the newest.
        license: Optional string, the SPDX name of the weights' license. Defaults to
            `None`.

    Returns:
        `ExportSource`.

    Raises:
        UsageError: If the run has no such checkpoint, or the backbone does not take
            images of `config.evaluation.size`.
    """
    config = workdir.checked_config()
    progress, model = latest.load_checkpoint(workdir, config, checkpoint)
    check_evaluation_size(config, model.backbone)
    return ExportSource(
        model=model,
        image_size=evaluation_size(config),
        resize_ratio=config.evaluation.resize_ratio,
        statistics=statistics(config),
        images=_sample_images(config),
        about=_about(config, progress, results.read(workdir.results_file), license),
    )


def from_weights(
    path: str | os.PathLike, image_size: int | None = None, license: str | None = None
) -> ExportSource:
    """Loads the network of pretrained weights.

    Args:
        path: String or path, see `bt_keras.convert.pretrained.load`.
        image_size: Optional integer, at least 1, see `ExportSource`. Defaults to the
            size that the network takes, or `224` if it takes any.
        license: Optional string, as for `from_run`. Defaults to `None`.

    Returns:
        `ExportSource`.

    Raises:
        UsageError: If there are no such weights, or they are not those of a network of
            images.
    """
    loaded = pretrained.load(path)
    specs = input_specs(loaded.backbone)
    is_tensor = isinstance(specs, tf.TensorSpec)
    if specs is not None and not (is_tensor and specs.shape.rank == 4):
        raise UsageError(
            f"{path} is a network that does not take images (N, H, W, C): export it in "
            "Python, with bt_keras.export_backbone."
        )
    return ExportSource(
        model=loaded.model,
        image_size=image_size or image_inputs.default_image_size(loaded.backbone),
        resize_ratio=_RESIZE_RATIO,
        statistics=loaded.statistics,
        about={"license": license},
        left=loaded.left,
    )


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
