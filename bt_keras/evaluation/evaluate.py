"""Runs evaluators on the backbone of a run or of an exported module."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from bt_keras.data import faults
from bt_keras.data.from_config import open_source
from bt_keras.errors import UsageError
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.evaluator import PROTOCOLS, Evaluator, build_evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.target import EvaluationTarget


def evaluate(
    target: EvaluationTarget,
    *,
    protocol: str = "cached",
    source: str | None = None,
    test_split: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Callable[[list[Result]], None] | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> list[Result]:
    """Evaluates a backbone and appends the results to its run's results.csv.

    Args:
        target: `EvaluationTarget`, what `target_from_workdir` or `target_from_module`
            of `bt_keras.evaluation.target` returns.
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
        strategy: `tf.distribute.Strategy` of one process, whose replicas share the
            computation of features that are computed once. Defaults to `None`: one
            device.

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
    frozen = _freeze(target, source, test_split, evaluators, strategy)
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
    strategy: tf.distribute.Strategy | None,
) -> FrozenBackbone:
    config = target.config
    needs_labels = any(each.needs_labels for each in evaluators)
    train = open_source(config, config.data.train_split, source)
    try:
        test = open_source(config, test_split or config.data.test_split, source)
    except UsageError as error:
        if needs_labels or test_split:
            raise
        print(f"no test images, which the chosen scores do not need: {error}")
        test = train
    for images in (train, test) if test is not train else (train,):
        print(images.describe())
    return target.frozen(train, test, needs_labels, strategy)


def _complete(result: Result, target: EvaluationTarget, source: str) -> Result:
    """Adds the backbone, the epoch and the source."""
    return dataclasses.replace(
        result,
        backbone=result.backbone or target.name,
        epoch=result.epoch or target.epoch,
        source=source,
    )
