"""Pretraining: from a config and a workdir to a trained model.

Where the road comes together: source -> views -> model -> optimizer -> fit.
"""

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from bt_keras import checkpoint, data, devices, optimizers, runs
from bt_keras import config as config_lib
from bt_keras.augmentation import views as make_views
from bt_keras.augmentation.ops import IMAGENET_MEAN, IMAGENET_STD
from bt_keras.errors import UsageError
from bt_keras.workdir import Workdir


def pretrain(config, workdir):
    """Trains a model as the config says, or goes on from its last finished epoch.

    Everything that can be wrong with the config and the data is found before the
    workdir is touched.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        workdir: str or path of the run's folder: config.json, log.csv, tensorboard/,
            checkpoints/ and views.png appear in it.

    Returns:
        The trained `bt_keras.BarlowTwins`.

    Raises:
        UsageError: for a config, data or workdir that cannot be used.
    """
    config_lib.check(config)
    _warn_of_emulation(config.precision)
    workdir = Workdir(workdir)
    workdir.check_config(config)
    source = data.load(
        config.data.source, config.data.train_split, config.data.skip_corrupt
    )
    views = make_views(config.views.size, config.views.recipe)
    first_epoch, saved = checkpoint.latest(workdir.checkpoints)
    steps_per_epoch = source.num_images // config.batch_size
    _check_execution(config.steps_per_execution, steps_per_epoch)
    pairs = data.pairs(
        source,
        views,
        config.batch_size,
        seed=config.seed,
        endless=True,
        first_step=first_epoch * steps_per_epoch,
    )
    model = runs.build_model(config)
    model.compile(
        optimizer=optimizers.build(config, steps_per_epoch),
        steps_per_execution=config.steps_per_execution,
    )
    if saved:
        model = checkpoint.restore(saved, like=model)
        print(f"going on after epoch {first_epoch}, from {saved}")
    workdir.claim(config)
    workdir.cut_log(first_epoch)
    if not saved:
        save_sample_views(pairs, workdir.sample_views)
    history = model.fit(
        pairs,
        initial_epoch=first_epoch,
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        callbacks=_callbacks(config, workdir),
        shuffle=False,  # It is: `pairs` gives every epoch an order of its own.
    )
    _check_finite(history, workdir)
    return model


def save_sample_views(pairs, path, count=8):
    """Writes a picture of the first pairs, a column each, one view above the other.

    Args:
        pairs: `tf.data.Dataset` of `(view_a, view_b)`.
        path: path of a PNG file.
        count: int, how many pairs at most.
    """
    rows = [np.asarray(view[:count]) for view in next(iter(pairs))]
    rows = [np.concatenate(list(row), axis=1) for row in rows]
    picture = np.concatenate(rows) * IMAGENET_STD + IMAGENET_MEAN
    picture = tf.image.convert_image_dtype(picture, tf.uint8, saturate=True)
    tf.io.write_file(str(path), tf.io.encode_png(picture))


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


def _check_finite(history, workdir):
    losses = history.history.get("loss", [])
    if losses and not np.isfinite(losses[-1]):
        raise UsageError(
            f"the loss became {losses[-1]} in epoch {history.epoch[-1] + 1}: lower "
            "config.optimizer.learning_rate, warm up for longer or use float32. The "
            f"epochs before are kept in {workdir.checkpoints}."
        )


def _callbacks(config, workdir):
    return [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.CSVLogger(str(workdir.log_file), append=True),
        keras.callbacks.TensorBoard(str(workdir.tensorboard), write_graph=False),
        checkpoint.EpochCheckpoint(workdir.checkpoints, config.checkpoint.keep),
    ]
