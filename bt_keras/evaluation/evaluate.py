"""Runs evaluators on the backbone of a run or of an exported module."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
from ml_collections import ConfigDict

from bt_keras import config as config_lib
from bt_keras import hub
from bt_keras.checkpoint import latest
from bt_keras.data import Source, faults
from bt_keras.data.from_config import open_source, statistics, with_statistics
from bt_keras.errors import UsageError
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.evaluator import PROTOCOLS, Evaluator, build_evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.results import Result
from bt_keras.files.reading import reporting_damage
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
    """

    backbone: keras.Model
    config: ConfigDict
    epoch: str
    workdir: Workdir | None = None
    name: str = "pretrained"

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
        self, train: Source, test: Source, needs_labels: bool = True
    ) -> FrozenBackbone:
        """Returns the backbone in evaluation mode, with images to evaluate it on.

        Args:
            train: `bt_keras.data.Source`.
            test: `bt_keras.data.Source` with the same classes.
            needs_labels: Boolean, as for `FrozenBackbone`. Defaults to `True`.

        Raises:
            UsageError: As `FrozenBackbone`.
        """
        return FrozenBackbone(
            self.backbone,
            train,
            test,
            size=self.config.views.size,
            resize_ratio=self.config.evaluation.resize_ratio,
            batch_size=self.config.evaluation.batch_size,
            needs_labels=needs_labels,
            statistics=statistics(self.config),
        )


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
        UsageError: If the run has no such checkpoint or its folder cannot be written.
    """
    config = workdir.checked_config()
    workdir.check_writable()
    epoch, model = latest.load_model(workdir, config, untrained, checkpoint)
    name = "untrained" if untrained else "pretrained"
    return EvaluationTarget(model.backbone, config, epoch, workdir, name)


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
    return EvaluationTarget(backbone, config, str(metadata.epochs or "?"))


def evaluate(
    target: EvaluationTarget,
    *,
    protocol: str = "cached",
    source: str | None = None,
    test_split: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Callable[[list[Result]], None] | None = None,
) -> list[Result]:
    """Evaluates a backbone and appends the results to its run's results.csv.

    Args:
        target: `EvaluationTarget`, what `target_from_workdir` or `target_from_module`
            returns.
        protocol: String, a key of `bt_keras.evaluation.evaluator.PROTOCOLS`:
            `"cached"`, kNN and a linear probe on features of center crops that are
            computed once; `"full"`, kNN and the paper's linear probe on random crops;
            or `"finetune"`, the whole network trained on shares of the labels,
            pretrained and from scratch. Defaults to `"cached"`.
        source: String, a labeled data set to use instead of the run's. Defaults to
            `None`.
        test_split: String, the split to test on instead of the config's. Defaults to
            `None`.
        overrides: Dict from names of evaluators to arguments that replace those of the
            config, such as `{"knn": {"k": 20}}`. Defaults to `None`.
        progress: Function of a list of `Result`s, called after each measurement,
            before it is written. Defaults to `None`.

    Returns:
        List of `Result`.

    Raises:
        UsageError: If there are no images to evaluate on, they have no labels, or an
            argument is out of range.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"protocol={protocol!r} is not one of {', '.join(PROTOCOLS)}.")
    config, workdir = target.config, target.workdir
    source = target.source_name(source)
    evaluators = [
        build_evaluator(
            name, config.evaluation, config.seed, **(overrides or {}).get(name, {})
        )
        for name in PROTOCOLS[protocol]
    ]
    if workdir:
        results_file.read(workdir.results_file)  # Raises before work that takes hours.
    frozen = _freeze(target, source, test_split, evaluators)
    results: list[Result] = []
    sources = (frozen.train_source, frozen.test_source)
    with faults.named(*(source.find_fault for source in sources)):
        for evaluator in evaluators:
            for measured in evaluator.run(frozen):
                new = [_complete(result, target, source) for result in measured]
                results += new
                try:
                    # First, because a full disk prevents writing.
                    if progress:
                        progress(new)
                finally:
                    # At once: an interruption loses no finished measurement.
                    if workdir:
                        results_file.append(workdir.results_file, new)
    return results


def _freeze(
    target: EvaluationTarget,
    source: str,
    test_split: str | None,
    evaluators: list[Evaluator],
) -> FrozenBackbone:
    config = target.config
    train, test = (
        open_source(config, split, source)
        for split in (config.data.train_split, test_split or config.data.test_split)
    )
    for images in (train, test):
        print(images.describe())
    return target.frozen(train, test, any(each.needs_labels for each in evaluators))


def _complete(result: Result, target: EvaluationTarget, source: str) -> Result:
    """Adds the backbone, the epoch and the source."""
    return dataclasses.replace(
        result,
        backbone=result.backbone or target.name,
        epoch=result.epoch or target.epoch,
        source=source,
    )
