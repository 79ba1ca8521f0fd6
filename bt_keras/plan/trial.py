"""A few steps of a run, to measure their time."""

from __future__ import annotations

import dataclasses
import time

import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import data
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.plan.images import Images

# Of the measurement, after the first call, which compiles. Batches that were made
# meanwhile hide a slow input pipeline for some steps.
_SECONDS = 5.0
_LEAST_CALLS = 3


@dataclasses.dataclass(frozen=True)
class Trial:
    """The measurements of a trial.

    Attributes:
        rows: Integer, the images of a step: those of one replica.
        seconds: Float, the time of a step.
        waiting: Float, the share of it in which the step waited for its images.
        first_loss: Float, the loss of the first batch.
        of_images: Boolean, whether the views were those of the run's images rather than
            random numbers.
    """

    rows: int
    seconds: float
    waiting: float
    first_loss: float
    of_images: bool


def run(model: BarlowTwins, config: ConfigDict, rows: int, images: Images) -> Trial:
    """Runs steps of one replica on this machine's first device.

    Args:
        model: `bt_keras.BarlowTwins`, compiled; its weights change.
        config: `ConfigDict` with the fields of configs/default.py.
        rows: Integer, the images of one replica in a step.
        images: `Images`, whose views are taken if they are at hand.

    Returns:
        `Trial`.
    """
    iterator = iter(_dataset(config, rows, images, model.needs_labels))
    model.make_train_function()
    step = model.train_function
    model.reset_metrics()
    first_loss = float(step(iterator)["loss"])
    waited, begin = step.seconds_waited, time.perf_counter()
    calls, elapsed = 0, 0.0
    while calls < _LEAST_CALLS or elapsed < _SECONDS:
        float(step(iterator)["loss"])  # Waits for the device.
        calls += 1
        elapsed = time.perf_counter() - begin
    return Trial(
        rows=rows,
        seconds=elapsed / (calls * config.steps_per_execution),
        waiting=(step.seconds_waited - waited) / elapsed,
        first_loss=first_loss,
        of_images=images.source is not None,
    )


def _dataset(config, rows, images, labels):
    if images.source is not None:
        args = images.source, images.views, rows, config.seed
        return data.pairs(*args, endless=True, labels=labels)
    size = config.views.size
    shape = (rows, size, size, config.data.channels)
    views = tuple(tf.random.stateless_normal(shape, (config.seed, i)) for i in (0, 1))
    element = (views, tf.zeros([rows], tf.int64)) if labels else views
    return tf.data.Dataset.from_tensors(element).repeat()
