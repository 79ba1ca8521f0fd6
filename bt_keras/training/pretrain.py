"""Pretraining: from a config and a workdir to a trained model.

Where the road comes together: source -> views -> model -> optimizer -> fit.
"""

import contextlib

import numpy as np
import tensorflow as tf
from absl import logging

from bt_keras import config as config_lib
from bt_keras import data
from bt_keras.augmentation import views as make_views
from bt_keras.augmentation.ops import IMAGENET_MEAN, IMAGENET_STD
from bt_keras.distribution import devices, strategies
from bt_keras.errors import StoppedError, UsageError
from bt_keras.training.nonfinite import NonFiniteError
from bt_keras.training.run import Training
from bt_keras.workdir import Workdir, writable

# What to do when the loss is not finite.
ON_NAN = ("stop", "rollback")


def pretrain(config, workdir, strategy=None, on_nan="stop"):
    """Trains a model as the config says, or goes on from its newest checkpoint.

    Everything that can be wrong with the config is found before the workdir is touched.
    Under several workers each calls it; they share the workdir, and the first one
    writes. `config.deterministic` holds for the rest of the process.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        workdir: str or path of the run's folder: config.json, log.csv, tensorboard/,
            checkpoints/ and views.png appear in it.
        strategy: optional `tf.distribute.Strategy`, by default the one in scope.
        on_nan: `"stop"` or `"rollback"`: what to do when the loss or a gradient is not
            finite; to stop, or to go back to the last checkpoint and on from there
            past the batches that led astray, `config.checkpoint.max_rollbacks` times.

    Returns:
        The trained `bt_keras.BarlowTwins`.

    Raises:
        UsageError: for a config, data or workdir that cannot be used, or a loss that
            is not finite.
        StoppedError: if SIGTERM or SIGUSR1 asked the run to stop, after a checkpoint
            was written, or if another worker is gone.
    """
    strategy = strategy or tf.distribute.get_strategy()
    config_lib.check(config)
    _check_on_nan(on_nan)
    _warn_of_emulation(config.precision)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with _all_workers(strategy):
        return _pretrain(config, Workdir(workdir), strategy, on_nan)


def _pretrain(config, workdir, strategy, on_nan):
    with strategies.failing_together(strategy):
        workdir.check_config(config)
        training = _training(config, workdir, strategy)
    model = training.model()
    with contextlib.ExitStack() as stack:
        with strategies.failing_together(strategy):
            stack.enter_context(workdir.locked(training.is_chief))
        progress, path = training.newest()
        training.restore(model, path)
        with strategies.failing_together(strategy):
            if training.is_chief:
                _prepare(training, progress, path)
        while True:
            try:
                training.train(model, progress)
                return model
            except NonFiniteError as error:
                why = training.diagnosis(model, error)
                if on_nan == "stop":
                    raise UsageError(
                        f"{why}. Checkpoints in {workdir.checkpoints} are from before; "
                        "--on_nan=rollback goes on from the last, past these batches."
                    ) from error
                model, progress = training.rolled_back(model, error, why)


@contextlib.contextmanager
def _all_workers(strategy):
    """Tells the loss of another worker from other errors."""
    try:
        yield
    except tf.errors.OpError as error:
        lost = strategies.lost_worker(error, strategy)
        if not lost:
            raise
        raise StoppedError(
            f"{lost} of the {strategies.num_workers(strategy)} does not answer any "
            "more; the same command on all workers goes on from the last checkpoint"
        ) from error


def save_sample_views(pairs, path, count=8):
    """Writes a picture of the first pairs, a column each, one view above the other.

    Args:
        pairs: `tf.data.Dataset` of `(view_a, view_b)`.
        path: path of the PNG file.
        count: int, how many pairs at most.
    """
    rows = [np.asarray(view[:count]) for view in next(iter(pairs))]
    rows = [np.concatenate(list(row), axis=1) for row in rows]
    picture = np.concatenate(rows) * IMAGENET_STD + IMAGENET_MEAN
    picture = tf.image.convert_image_dtype(picture, tf.uint8, saturate=True)
    path.write_bytes(tf.io.encode_png(picture).numpy())


def _training(config, workdir, strategy):
    source = data.load(
        config.data.source, config.data.train_split, config.data.skip_corrupt
    )
    views = make_views(config.views.size, config.views.recipe)
    data.check(source, views, config.batch_size, strategy.num_replicas_in_sync)
    training = Training(config, workdir, source, views, strategy)
    _check_execution(config.steps_per_execution, training.steps_per_epoch)
    _check_microbatches(config, strategy.num_replicas_in_sync)
    return training


def _prepare(training, progress, path):
    """What the chief writes before the first step."""
    config, workdir = training.config, training.workdir
    workdir.claim(config)
    with writable(workdir.path):
        workdir.cut_log(progress.epoch)
        if not path:
            count = min(8, config.batch_size)
            pairs = data.pairs(training.source, training.views, count, seed=config.seed)
            save_sample_views(pairs, workdir.sample_views)
    if path:
        print(f"going on after step {progress.step} ({progress.epochs} epochs): {path}")


def _check_on_nan(on_nan):
    if on_nan not in ON_NAN:
        raise UsageError(f"--on_nan={on_nan} is not one of {', '.join(ON_NAN)}.")


def _warn_of_emulation(precision):
    if precision == "mixed_bfloat16" and devices.bfloat16_is_emulated():
        logging.warning(
            "config.precision is mixed_bfloat16, which this CPU can only emulate, "
            "several times slower than float32."
        )


def _check_execution(steps, steps_per_epoch):
    # Keras would go on beyond the end of the epoch.
    if steps_per_epoch % steps:
        numbers = range(1, steps_per_epoch + 1)
        divisors = [n for n in numbers if steps_per_epoch % n == 0]
        raise UsageError(
            f"config.steps_per_execution is {steps}, which does not divide the "
            f"{steps_per_epoch} steps of an epoch: choose from "
            f"{', '.join(map(str, divisors))}."
        )


def _check_microbatches(config, replicas):
    rows = config.batch_size // replicas
    if rows % config.microbatches or rows // config.microbatches * replicas < 2:
        raise UsageError(
            f"config.microbatches is {config.microbatches}, which does not divide the "
            f"{rows} images that each of {replicas} replicas has of config.batch_size, "
            f"{config.batch_size}."
        )
