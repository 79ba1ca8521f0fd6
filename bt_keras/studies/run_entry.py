"""Makes one run of a queue in this process."""

from __future__ import annotations

import time

import tensorflow as tf

from bt_keras.data.from_config import open_source, split_names
from bt_keras.evaluation.evaluate import evaluate
from bt_keras.evaluation.evaluator import build_evaluator, evaluator_names
from bt_keras.evaluation.label_subsets import require_first_label
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
        _check_labels(config, evaluations)
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


def _check_labels(config, evaluations):
    """Raises `UsageError` before the training if it could not be evaluated."""
    names = evaluator_names(",".join(evaluations))
    evaluators = [build_evaluator(n, config.evaluation, config.seed) for n in names]
    if any(evaluator.needs_labels for evaluator in evaluators):
        for split in split_names(config):
            source = open_source(config, split)
            source.require_labels("the evaluation after the training")
            require_first_label(source)


def _count_classes(config):
    """Sets `num_classes` of a method with labels to that of the images if it is 0."""
    options = config.method.options
    if options.get("num_classes") == 0 and method_class(config).needs_labels:
        options.num_classes = open_source(config).num_classes
