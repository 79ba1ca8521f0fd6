"""Loads a pretrained network from weights, a checkpoint or a module."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from bt_keras import hub
from bt_keras.augmentation.statistics import Statistics
from bt_keras.convert import keras_source, state_dict, weight_files
from bt_keras.data.from_config import statistics
from bt_keras.errors import UsageError
from bt_keras.files import storage
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import ImageClassifier, behind_normalization, statistics_of
from bt_keras.workdir import Workdir

_ARCHIVES = (".gz", ".tgz", ".tar")


class Pretrained(NamedTuple):
    """A pretrained network.

    Args:
        model: `bt_keras.BarlowTwins`, or a `keras.Model` from normalized images to
            features.
        left: List of strings, what its source contains besides it.
        statistics: `Statistics` that its images are normalized with, `None` if the
            source does not say. Defaults to `None`.
    """

    model: keras.Model
    left: list[str]
    statistics: Statistics | None = None

    @property
    def backbone(self) -> keras.Model:
        """The network from normalized images to features."""
        is_whole = isinstance(self.model, BarlowTwins)
        return self.model.backbone if is_whole else self.model

    @property
    def projector(self) -> keras.Model | None:
        """The projector, `None` if there is none."""
        return getattr(self.model, "projector", None)


def load(source: str | os.PathLike) -> Pretrained:
    """Loads a pretrained network.

    Args:
        source: String or path: a file of PyTorch weights (see
            `bt_keras.convert.from_torch`), a `.keras` file of a backbone or a
            `bt_keras.BarlowTwins`, the folder of a run, whose newest checkpoint is
            taken, or a module as for `bt_keras.load_backbone`.

    Returns:
        `Pretrained`.

    Raises:
        UsageError: If there is no such file, folder or module, or it contains no
            network that Keras can build, or NaN or infinite weights.

    Example:

    >>> from bt_keras.convert import pretrained
    >>> state = bt_keras.convert.to_torch(bt_keras.resnet(18, width=1 / 16))
    >>> bt_keras.convert.save("weights.pth", {**state, "fc.bias": np.zeros(10)})
    >>> pretrained.load("weights.pth").left
    ['fc.bias']
    """
    loaded = _load(source)
    for weight in loaded.model.weights:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(weight))):
            raise UsageError(
                f"{source}: {weight.path} contains NaN or infinity; use weights that "
                "were saved before training diverged."
            )
    return loaded


def _load(source):
    path = Path(os.path.expanduser(source))
    suffix = path.suffix.lower()
    remote = storage.scheme(source)
    _check_file(source, path, suffix, remote)
    if suffix in weight_files.SUFFIXES and not path.is_dir():
        return Pretrained(*state_dict.read_torch(path))
    run = None if remote else _find_run(path)
    if suffix == ".keras" or run:
        model, progress = keras_source.load_model(path, with_optimizer=False)
        left = ["the optimizer's state"] if progress else []
        if isinstance(model, BarlowTwins):
            return Pretrained(model, left, statistics(run.config()) if run else None)
        backbone = _backbone(model, path)
        return Pretrained(backbone, left, statistics_of(backbone))
    backbone, described = hub.read_backbone(source)
    left = ["projector"] if described.embedding_dim else []
    return Pretrained(backbone, left, described.normalization)


def _find_run(path):
    """Returns the `Workdir` of a run's folder or checkpoint, `None` for other paths."""
    is_checkpoint = path.parent.name == "checkpoints"
    workdir = Workdir(path.parent.parent if is_checkpoint else path)
    return workdir if workdir.config_file.is_file() else None


def _check_file(source, path, suffix, remote):
    known = (*weight_files.SUFFIXES, ".keras")
    if suffix in known and remote:
        raise UsageError(
            f"{source} is on {remote}://, from where only modules are read: copy the "
            "file to a local disk."
        )
    if path.is_file() and suffix not in (*known, *_ARCHIVES):
        raise UsageError(
            f"{source} is no file of weights ({', '.join(known)}) and no archive of a "
            f"module ({', '.join(_ARCHIVES)})."
        )


def _backbone(model, path):
    if not isinstance(model, keras.Model):
        raise UsageError(f"{path} is a {type(model).__name__}, not a model.")
    if isinstance(model, ImageClassifier):
        raise UsageError(
            f"{path} is a classifier, not a backbone: give the module that it was "
            "trained from."
        )
    return behind_normalization(model)
