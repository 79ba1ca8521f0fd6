"""What is evaluated: the backbone of a run or of an exported module."""

from __future__ import annotations

import dataclasses
import json
import os

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import config as config_lib
from bt_keras import hub
from bt_keras.checkpoint import latest
from bt_keras.data import Source
from bt_keras.data.from_config import (
    evaluation_size,
    statistics,
    views,
    with_statistics,
)
from bt_keras.errors import UsageError
from bt_keras.evaluation import feature_identity
from bt_keras.evaluation.feature_folder import FeatureFolder
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.pretext import Pretext
from bt_keras.files.reading import reporting_damage
from bt_keras.model.from_config import check_evaluation_size
from bt_keras.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class EvaluationTarget:
    """A backbone to evaluate, and how to evaluate it.

    Args:
        backbone: `keras.Model` from normalized images (N, H, W, C) to features (N, F).
        config: `ConfigDict` with the settings of the evaluation.
        epoch: String, the number of epochs that the backbone was trained for.
        workdir: `bt_keras.workdir.Workdir` that keeps the results, or `None`. Defaults
            to `None`.
        name: String, `"pretrained"` or `"untrained"`. Defaults to `"pretrained"`.
        pretext: `Pretext`, what the backbone was pretrained with. Defaults to `None`:
            unknown.
    """

    backbone: keras.Model
    config: ConfigDict
    epoch: str
    workdir: Workdir | None = None
    name: str = "pretrained"
    pretext: Pretext | None = None

    def source_name(self, source: str | None = None) -> str:
        """Returns the name of the images to use.

        Args:
            source: Optional string, images to use instead of the run's. Defaults to
                `None`.

        Raises:
            UsageError: If there is none.
        """
        if name := source or self.config.data.source:
            return name
        raise UsageError(
            "the module does not contain the location of its images: give --source."
        )

    def frozen(
        self,
        train: Source,
        test: Source,
        needs_labels: bool = True,
        strategy: tf.distribute.Strategy | None = None,
        keep: bool = True,
    ) -> FrozenBackbone:
        """Returns the backbone in evaluation mode, with images to evaluate it on.

        Features that the workdir has are read.

        Args:
            train: `bt_keras.data.Source`.
            test: `bt_keras.data.Source` with the same classes.
            needs_labels: Boolean, as for `FrozenBackbone`. Defaults to `True`.
            strategy: `tf.distribute.Strategy`, as for `FrozenBackbone`. Defaults to
                `None`.
            keep: Boolean, whether features that are computed are kept in the workdir
                if there is one. Defaults to `True`.

        Raises:
            UsageError: As `FrozenBackbone`.
        """
        return FrozenBackbone(
            self.backbone,
            train,
            test,
            size=evaluation_size(self.config),
            resize_ratio=self.config.evaluation.resize_ratio,
            batch_size=self.config.evaluation.batch_size,
            needs_labels=needs_labels,
            statistics=statistics(self.config),
            folder=self._feature_folder(keep),
            strategy=strategy,
            pretext=self.pretext,
        )

    def _feature_folder(self, keep):
        if self.workdir is None:  # They are not kept.
            return FeatureFolder()
        dtype = self.config.evaluation.feature_dtype
        network = feature_identity.of_network(self.backbone)
        settings = feature_identity.of_settings(self.config)
        path = self.workdir.features
        return FeatureFolder(path, network, settings, dtype, read_only=not keep)


def target_from_workdir(
    workdir: Workdir, untrained: bool = False, checkpoint: str | None = None
) -> EvaluationTarget:
    """Loads the backbone of a run.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        untrained: Boolean, whether to take the initial weights instead of those of a
            checkpoint. Defaults to `False`.
        checkpoint: Optional string, the name of a checkpoint, such as `"epoch-0050"`.
            Defaults to `None`: the newest.

    Returns:
        `EvaluationTarget`.

    Raises:
        UsageError: If the run has no such checkpoint, or the backbone does not take
            images of `config.evaluation.size`.
    """
    config = workdir.checked_config()
    epoch, load = latest.find_model(workdir, config, untrained, checkpoint)
    model = load()
    check_evaluation_size(config, model.backbone)
    name = "untrained" if untrained else "pretrained"
    pretext = Pretext(
        views(config, finish_on_device=False),
        config.seed,
        # Loaded again by the evaluators that need it. The paper's projector is larger
        # than its backbone.
        lambda: load().projector,
        model.lambd,
        config.batch_size,
    )
    return EvaluationTarget(model.backbone, config, epoch, workdir, name, pretext)


def target_from_module(handle: str | os.PathLike) -> EvaluationTarget:
    """Loads the backbone of an exported module.

    The config is that of the run that the module was exported from. A module without
    a config is evaluated with configs/default.py at its own image size. Unless the
    run's images have a name that is valid on every machine, `evaluate` needs a
    `source`.

    Args:
        handle: String or path, as for `bt_keras.load_backbone`.

    Returns:
        `EvaluationTarget`.

    Raises:
        UsageError: If there is no such module, bt_keras did not export it, or it does
            not take images.
    """
    backbone, metadata = hub.read_backbone(handle)
    if not metadata.input_shape:
        raise UsageError(
            f"module {handle} does not take images: load it in Python, with "
            "bt_keras.load_backbone."
        )
    if metadata.config:
        advice = "export the module again"
        with reporting_damage(f"the config of module {handle}", advice):
            config = config_lib.from_json(json.dumps(metadata.config))
    else:
        config = config_lib.default()
        config.data.source = ""
        config.views.size = metadata.image_size or config.views.size
        ratio = metadata.resize_ratio or config.evaluation.resize_ratio
        config.evaluation.resize_ratio = ratio
    # The config may have been written before the statistics were measured.
    config = with_statistics(config, metadata.normalization)
    with config_lib.naming(f"module {handle}"):
        config_lib.check(config)
    # Modules keep only the last part of a path, which could name any folder here.
    if config.data.source != "shipped" and not config.data.source.startswith("tfds:"):
        config.data.source = ""
    # Modules have no projector that could be loaded, and some no views.
    pretext = None
    if metadata.config:
        pretext = Pretext(views(config, finish_on_device=False), config.seed)
    epochs = str(metadata.epochs or "?")
    return EvaluationTarget(backbone, config, epochs, pretext=pretext)
