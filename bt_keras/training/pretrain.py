"""Pretrain a model, from a config and a workdir.

This is where the config is checked and read: the data, the model and the settings of
the training loop are built here, and the modules below receive those.
"""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path

import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import optimizers
from bt_keras.checkpoint.callbacks import CheckpointPolicy
from bt_keras.checkpoint.progress import Progress
from bt_keras.data import faults
from bt_keras.distribution import strategies
from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.training import same_images, setup, warm_start
from bt_keras.training.inputs import Inputs, open_inputs
from bt_keras.training.rollback import ON_NAN, Rollback
from bt_keras.training.run import Settings, Training
from bt_keras.training.sample_views import FirstPairs
from bt_keras.training.warm_start import WarmStart
from bt_keras.workdir import Workdir, writable


def pretrain(
    config: ConfigDict,
    workdir: str | os.PathLike,
    strategy: tf.distribute.Strategy | None = None,
    on_nan: str = "stop",
    allow_other_images: bool = False,
    init_from: str | os.PathLike | None = None,
) -> BarlowTwins:
    """Trains the model of a config, or resumes from the newest checkpoint.

    Config and data are checked before the workdir is created or changed. With several
    workers, each of them calls this function; they share the workdir, and the chief
    writes to it. `config.deterministic` stays in effect until the process ends.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        workdir: Path of the run's folder, which receives config.json, log.csv,
            tensorboard/, checkpoints/ and views.png.
        strategy: `tf.distribute.Strategy`. Defaults to the one in scope.
        on_nan: String, what to do when the loss or a gradient is non-finite: `"stop"`
            ends with an error, `"rollback"` restores the last checkpoint and skips
            the batches that led to it, at most `config.checkpoint.max_rollbacks`
            times. Defaults to `"stop"`.
        allow_other_images: Boolean, whether to resume although the images are not those
            that the run began with (in number, order, names or sizes). Defaults to
            `False`.
        init_from: Optional string or path, the pretrained network that the run starts
            from, see `bt_keras.convert.pretrained.load`. Its weights become the first
            checkpoint, so that a run that resumes does not read it. Defaults to
            `None`: new weights.

    Returns:
        The trained `bt_keras.BarlowTwins`.

    Raises:
        UsageError: If the config, the data, the workdir or `init_from` cannot be used,
            if an image cannot be read any more, or if the loss or a gradient is
            non-finite.
        StoppedError: If a signal stopped the run, after a checkpoint was written, or
            if another worker is lost.
    """
    strategy = strategy or tf.distribute.get_strategy()
    if on_nan not in ON_NAN:
        raise UsageError(f"--on_nan={on_nan} is not one of {', '.join(ON_NAN)}.")
    setup.apply(config)
    folder = Workdir(workdir)
    with strategies.stopped_by_lost_workers(strategy):
        with strategies.raise_on_all_workers(strategy):
            inputs = open_inputs(config, folder, strategy)
            first_pairs = inputs.first_pairs(strategy)
            draws = strategies.is_chief(strategy) and not folder.checkpoints.exists()
            if draws:
                first_pairs.start()  # While the model is built.
        training = _training(inputs, folder, strategy)
        if training.is_chief:
            for line in inputs.describe():
                print(line, flush=True)
        model = training.make_model()
        with strategies.raise_on_all_workers(strategy):
            statistics = inputs.views.statistics
            start = warm_start.read(
                model, folder, init_from, statistics, training.is_chief
            )
            if draws:
                _trace_and_draw(model, inputs, first_pairs, strategy)
        with contextlib.ExitStack() as stack:
            with strategies.raise_on_all_workers(strategy):
                stack.enter_context(folder.locked(training.is_chief))
            progress = _begin_or_resume(
                training, model, inputs, start, first_pairs, allow_other_images
            )
            return _rollback(inputs, on_nan).train(training, model, progress)


def _training(
    inputs: Inputs, workdir: Workdir, strategy: tf.distribute.Strategy
) -> Training:
    config, source, steps = inputs.config, inputs.source, inputs.steps_per_epoch
    batch_size, seed = config.batch_size, config.seed
    return Training(
        workdir,
        strategy,
        new_model=functools.partial(setup.new_model, config, steps),
        pairs=inputs.pairs,
        find_fault=functools.partial(
            faults.in_batches, source.find_fault, steps, batch_size, seed
        ),
        held_out=inputs.held_out,
        probes=inputs.probes,
        settings=_settings(inputs),
    )


def _settings(inputs: Inputs) -> Settings:
    source, held_out = inputs.source, inputs.held_out
    checkpoint = inputs.config.checkpoint
    digest = same_images.digest_number(source)
    return Settings(
        epochs=inputs.config.epochs,
        steps_per_epoch=inputs.steps_per_epoch,
        images={
            "images": source.num_images,
            "images (a digest of names and sizes)": digest,
            **(held_out.numbers() if held_out else {}),
        },
        checkpoints=CheckpointPolicy(
            keep=checkpoint.keep,
            keep_every=checkpoint.keep_every,
            every_steps=checkpoint.every_steps,
            every_minutes=checkpoint.every_minutes,
        ),
    )


def _rollback(inputs: Inputs, on_nan: str) -> Rollback:
    config = inputs.config
    rate = config.optimizer.learning_rate
    schedule = optimizers.schedule(config, rate, inputs.steps_per_epoch)
    return Rollback(on_nan, config.checkpoint.max_rollbacks, inputs.pairs, schedule)


def _trace_and_draw(
    model: BarlowTwins,
    inputs: Inputs,
    first_pairs: FirstPairs,
    strategy: tf.distribute.Strategy,
) -> None:
    with strategy.scope():  # While the views are compiled.
        model.trace_train_step(inputs.pairs(first_step=0))
    # Images that cannot be read leave no folder behind.
    first_pairs.picture()


def _begin_or_resume(
    training: Training,
    model: BarlowTwins,
    inputs: Inputs,
    start: WarmStart | None,
    first_pairs: FirstPairs,
    allow_other_images: bool,
) -> Progress:
    """Brings the model and the workdir to the newest checkpoint, or to the start."""
    folder, strategy, source = training.workdir, training.strategy, inputs.source
    progress, path = training.resume_point()
    start = None if path else start
    with strategies.raise_on_all_workers(strategy):
        if path and training.is_chief and not allow_other_images:
            same_images.check(folder, source)
    training.restore(model, path)
    if start:
        with strategy.scope():
            start.assign()
    with strategies.raise_on_all_workers(strategy):
        if training.is_chief:
            if start:
                # Before the config: a run that is killed here is no run yet.
                start.write(folder, progress)
            folder.claim(inputs.config)
            same_images.record(folder, source)
            _prepare(folder, first_pairs, progress, path)
    return progress


def _prepare(
    workdir: Workdir,
    first_pairs: FirstPairs,
    progress: Progress,
    path: Path | None,
) -> None:
    """Brings the files of the workdir to the state of the checkpoint."""
    with writable(workdir.path):
        # TensorFlow's error for a file of this name does not say what to do.
        workdir.tensorboard.mkdir(exist_ok=True)
        workdir.cut_log(progress.epoch)
        if path is None:
            workdir.replace(workdir.sample_views, first_pairs.picture())
    if path:
        print(f"resuming after step {progress.step} ({progress.epochs} epochs): {path}")
