"""Runs evaluators on the backbone of a run or of an exported module."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from bt_keras.data import faults
from bt_keras.data.from_config import evaluation_size, open_source, split_names
from bt_keras.errors import UsageError
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.evaluator import (
    ALL,
    Evaluator,
    build_evaluator,
    evaluator_names,
)
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.measurements import FinishedMeasurements
from bt_keras.evaluation.results import OF_VIEWS, Result
from bt_keras.evaluation.target import EvaluationTarget
from bt_keras.workdir import Workdir

_NONE_ALLOWED = "the data allow no protocol: see the reasons above."


def evaluate(
    target: EvaluationTarget,
    *,
    protocol: str = "cached",
    source: str | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Callable[[list[Result]], None] | None = None,
    strategy: tf.distribute.Strategy | None = None,
    remeasure: bool = False,
) -> list[Result]:
    """Evaluates a backbone and appends the results to its run's results.csv.

    Measurements that results.csv already has are not repeated: the same evaluator with
    the same settings, for the same weights and images.

    Args:
        target: `EvaluationTarget`, what `target_from_workdir` or `target_from_module`
            of `bt_keras.evaluation.target` returns.
        protocol: String, a key of `bt_keras.evaluation.evaluator.PROTOCOLS` or several,
            separated by commas; docs/evaluation.md describes them. `"all"` runs those
            that the data allow, and prints what it skips. Defaults to `"cached"`.
        source: String, a labeled data set to use instead of the run's. Defaults to
            `None`.
        train_split: String, the split to train on instead of the config's. Defaults to
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
        remeasure: Boolean, whether to repeat finished measurements. Defaults to
            `False`.

    Returns:
        List of `Result`.

    Raises:
        UsageError: If there are no images to evaluate on, the data do not allow the
            protocol, or an argument is out of range.
    """
    workdir = target.workdir
    evaluators = _build(protocol, target, overrides or {})
    source = target.source_name(source)
    # Raises before work that takes hours.
    stored = _stored(workdir) if workdir else []
    splits = train_split, test_split
    skips = _is_all(protocol)
    needs_test = not skips and any(each.needs_labels for each in evaluators)
    frozen = _freeze(target, source, splits, needs_test, strategy)
    evaluators = _allowed(evaluators, frozen, target, skips)
    finished = FinishedMeasurements(() if remeasure else stored, frozen, target)
    results: list[Result] = []
    num_old = 0
    with faults.named(frozen.train_source.find_fault, frozen.test_source.find_fault):
        for measured, is_new in _measure(evaluators, finished, frozen, skips):
            completed = [_complete(result, target, source) for result in measured]
            results += completed
            num_old += not is_new
            _record(completed, progress, workdir if is_new else None)
    if workdir and num_old:
        print(f"finished measurements in {workdir.results_file}: {num_old}")
    return results


def _build(
    protocol: str,
    target: EvaluationTarget,
    overrides: Mapping[str, Mapping[str, Any]],
) -> list[Evaluator]:
    config = target.config
    return [
        build_evaluator(name, config.evaluation, config.seed, **overrides.get(name, {}))
        for name in evaluator_names(protocol)
    ]


def _stored(workdir: Workdir) -> list[Result]:
    workdir.check_writable()
    return results_file.read(workdir.results_file)


def _is_all(protocol: str) -> bool:
    return ALL in map(str.strip, protocol.split(","))


def _freeze(
    target: EvaluationTarget,
    source: str,
    splits: tuple[str | None, str | None],
    needs_test: bool,
    strategy: tf.distribute.Strategy | None,
) -> FrozenBackbone:
    config = target.config
    train_split, test_split = split_names(config, *splits)
    train = open_source(config, train_split, source)
    try:
        test = open_source(config, test_split, source)
    except UsageError as error:
        if splits[1] or needs_test:
            raise
        print(f"no test images: {error}")
        test = train
    for images in (train, test) if test is not train else (train,):
        print(images.describe())
    return target.frozen(train, test, needs_labels=False, strategy=strategy)


def _allowed(
    evaluators: Iterable[Evaluator],
    frozen: FrozenBackbone,
    target: EvaluationTarget,
    skips: bool,
) -> list[Evaluator]:
    """Returns the evaluators that the data allow.

    Others are an error, or if `skips` is true, a printed line.
    """
    allowed = []
    for evaluator in evaluators:
        with _skipping(evaluator, skips):
            if evaluator.needs_labels and frozen.test_source is frozen.train_source:
                raise UsageError("it needs test images.")
            evaluator.check(frozen, target)
            allowed.append(evaluator)
    if not allowed:
        raise UsageError(_NONE_ALLOWED)
    return allowed


@contextlib.contextmanager
def _skipping(evaluator, skips, disk_errors=True):
    """Prints a `UsageError` of an evaluator if `skips` is true.

    Features that cannot be written are no fault of the data: with `disk_errors=False`,
    they are an error.
    """
    try:
        yield
    except UsageError as error:
        is_of_disk = isinstance(error.__cause__, OSError)
        if not skips or (is_of_disk and not disk_errors):
            raise
        print(f"{evaluator.name} is skipped: {error}")


def _measure(
    evaluators: Iterable[Evaluator],
    finished: FinishedMeasurements,
    frozen: FrozenBackbone,
    skips: bool,
) -> Iterator[tuple[list[Result], bool]]:
    """Yields the results of all measurements, and whether they are new.

    Some faults of the data are found only now, such as classes of one image: if `skips`
    is true, the next evaluator runs.
    """
    has_measured = False
    for evaluator in evaluators:
        frozen.needs_labels = evaluator.needs_labels
        with _skipping(evaluator, skips, disk_errors=False):
            for part in evaluator.parts():
                for measured in finished.measure(part, frozen):
                    has_measured = True
                    yield measured
    if not has_measured and skips:
        raise UsageError(_NONE_ALLOWED)


def _record(results, progress, workdir):
    """Shows the results of a measurement, and writes them if there is a workdir."""
    try:
        # First, because a full disk prevents writing.
        if progress:
            progress(results)
    finally:
        # At once: an interruption loses no finished measurement.
        if workdir:
            results_file.append(workdir.results_file, results)


def _complete(result: Result, target: EvaluationTarget, source: str) -> Result:
    """Adds backbone, epoch and source, and the size if it is not that of the views."""
    config = target.config
    size = evaluation_size(config)
    is_own = size == config.views.size or not OF_VIEWS.isdisjoint(result.settings)
    own = {} if is_own else {"size": size}
    return dataclasses.replace(
        result,
        settings={**result.settings, **own},
        backbone=result.backbone or target.name,
        epoch=result.epoch or target.epoch,
        source=source,
    )
