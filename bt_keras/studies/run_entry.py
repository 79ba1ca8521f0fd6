"""Makes one run of a queue in this process."""

from __future__ import annotations

import itertools
import time

import tensorflow as tf

from bt_keras.data.from_config import open_source, split_names
from bt_keras.evaluation.evaluate import evaluate
from bt_keras.evaluation.evaluator import ALL, build_evaluator, evaluator_names
from bt_keras.evaluation.target import target_from_workdir
from bt_keras.model.from_config import method_class
from bt_keras.studies.queue import FINISHED, Outcome, Queue
from bt_keras.studies.run_values import run_values
from bt_keras.training.pretrain import pretrain


def run_entry(
    queue: Queue, name: str, strategy: tf.distribute.Strategy | None = None
) -> None:
    """Trains and evaluates a run, and records its values.

    A run that was interrupted resumes. Nothing happens if the run has ended, or another
    process makes it.

    Args:
        queue: `Queue`.
        name: String, the name of a run.
        strategy: `tf.distribute.Strategy` of one process. Defaults to `None`: one
            device.

    Raises:
        UsageError: If there is no such run, or it cannot be trained or evaluated.
        StoppedError: If a signal stopped the training.
    """
    config, evaluations = queue.entry(name)
    with queue.claimed(name) as is_ours:
        if not is_ours or queue.outcome(name):
            return
        _check_images(config, evaluations)
        _count_classes(config)
        start = time.monotonic()
        workdir = queue.workdir(name)
        pretrain(config, workdir.path, strategy)
        target = target_from_workdir(workdir)
        for protocol in evaluations:
            evaluate(target, protocol=protocol, strategy=strategy)
        seconds = time.monotonic() - start
        values = run_values(workdir, method_class(config).log_names)
        queue.record(name, Outcome(FINISHED, seconds, values))


def _check_images(config, evaluations):
    """Raises `UsageError` before the training if it could not be evaluated."""
    names = [evaluator_names(each) for each in evaluations if ALL not in each]
    built = [
        build_evaluator(name, config.evaluation, config.seed)
        for name in dict.fromkeys(itertools.chain(*names))
    ]
    if any(evaluator.needs_labels for evaluator in built):
        sources = [open_source(config, split) for split in split_names(config)]
        for evaluator in built:
            evaluator.check_sources(*sources)


def _count_classes(config):
    """Sets `num_classes` of a method with labels to that of the images if it is 0."""
    options = config.method.options
    if options.get("num_classes") == 0 and method_class(config).needs_labels:
        options.num_classes = open_source(config).num_classes
