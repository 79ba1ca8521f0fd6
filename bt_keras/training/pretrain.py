"""Pretrain a model, from a config and a workdir.

This is where the config is checked and read: the data, the model and the settings of
the training loop are built here, and the modules below receive those.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import data, optimizers
from bt_keras.augmentation import Views
from bt_keras.checkpoint.callbacks import CheckpointPolicy
from bt_keras.checkpoint.progress import Progress
from bt_keras.data import faults, sharding
from bt_keras.data.source import Source
from bt_keras.distribution import strategies
from bt_keras.errors import StoppedError, UsageError
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.training import probes, same_images, setup, warm_start
from bt_keras.training.nonfinite import NonFiniteError
from bt_keras.training.run import Settings, Training
from bt_keras.training.sample_views import FirstPairs
from bt_keras.training.statistics import with_measured
from bt_keras.training.validation import HeldOut
from bt_keras.workdir import Workdir, writable

# What to do when the loss or a gradient is non-finite.
ON_NAN = ("stop", "rollback")


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
    with _lost_workers_stop(strategy):
        with strategies.raise_on_all_workers(strategy):
            folder.check_config(config)
            replicas = strategy.num_replicas_in_sync
            config = with_measured(config, folder, replicas)
            source, views = setup.load_data(config, replicas)
            held_out = setup.load_held_out(config, source, views, replicas)
            probing = probes.from_config(
                config, source, held_out, views.statistics, folder.tensorboard
            )
            pairs = _pairs(source, views, config)
            first_pairs = _first_pairs(pairs, source, views, config, strategy)
            draws = strategies.is_chief(strategy) and not folder.checkpoints.exists()
            if draws:
                first_pairs.start()  # While the model is built.
        training = _training(config, source, pairs, held_out, probing, folder, strategy)
        if training.is_chief:
            for images in (source, held_out):
                if images:
                    print(images.describe(), flush=True)
        model = training.make_model()
        with strategies.raise_on_all_workers(strategy):
            start = warm_start.read(
                model, folder, init_from, views.statistics, training.is_chief
            )
            if draws:
                with strategy.scope():  # While the views are compiled.
                    model.trace_train_step(pairs(first_step=0))
                # Images that cannot be read leave no folder behind.
                first_pairs.picture()
        with contextlib.ExitStack() as stack:
            with strategies.raise_on_all_workers(strategy):
                stack.enter_context(folder.locked(training.is_chief))
            progress, path = training.resume_point()
            with strategies.raise_on_all_workers(strategy):
                if path and training.is_chief and not allow_other_images:
                    same_images.check(folder, source)
            training.restore(model, path)
            if start and not path:
                with strategy.scope():
                    start.assign()
            with strategies.raise_on_all_workers(strategy):
                if training.is_chief:
                    if start and not path:
                        # Before the config: a run that is killed here is no run yet.
                        start.write(folder, progress)
                    folder.claim(config)
                    same_images.record(folder, source)
                    _prepare(folder, first_pairs, progress, path)
            return _train(training, model, progress, on_nan)


def _pairs(source: Source, views: Callable, config: ConfigDict) -> Callable:
    """Returns the function from `first_step` to the dataset that a run trains on."""
    # Two calls in succession return one dataset, which is then traced once.
    return functools.lru_cache(maxsize=1)(
        functools.partial(
            data.pairs,
            source,
            views,
            config.batch_size,
            config.seed,
            endless=True,
            labels=config.callbacks.linear_probe,
        )
    )


def _first_pairs(
    pairs: Callable,
    source: Source,
    views: Views,
    config: ConfigDict,
    strategy: tf.distribute.Strategy,
) -> FirstPairs:
    make = functools.partial(pairs, first_step=0)
    if (pipelines := sharding.num_input_pipelines(strategy)) > 1:
        # A distributed dataset belongs to all workers; the shapes are those of a shard.
        rows = max(2, config.batch_size // pipelines)
        make = functools.partial(data.pairs, source, views, rows, config.seed)
    return FirstPairs(make, source.find_fault, views.statistics)


def _training(
    config: ConfigDict,
    source: Source,
    pairs: Callable,
    held_out: HeldOut | None,
    probing: probes.Probes,
    workdir: Workdir,
    strategy: tf.distribute.Strategy,
) -> Training:
    steps_per_epoch = source.steps_per_epoch(config.batch_size)
    rate = config.optimizer.learning_rate
    checkpoint = config.checkpoint
    return Training(
        workdir,
        strategy,
        new_model=functools.partial(setup.new_model, config, steps_per_epoch),
        pairs=pairs,
        find_fault=functools.partial(
            faults.in_batches,
            source.find_fault,
            steps_per_epoch,
            config.batch_size,
            config.seed,
        ),
        held_out=held_out,
        probes=probing,
        schedule=optimizers.schedule(config, rate, steps_per_epoch),
        settings=Settings(
            epochs=config.epochs,
            steps_per_epoch=steps_per_epoch,
            images={
                "images": source.num_images,
                "images (a digest of names and sizes)": same_images.digest_number(
                    source
                ),
                **(held_out.numbers() if held_out else {}),
            },
            max_rollbacks=checkpoint.max_rollbacks,
            checkpoints=CheckpointPolicy(
                keep=checkpoint.keep,
                keep_every=checkpoint.keep_every,
                every_steps=checkpoint.every_steps,
                every_minutes=checkpoint.every_minutes,
            ),
        ),
    )


def _train(
    training: Training, model: BarlowTwins, progress: Progress, on_nan: str
) -> BarlowTwins:
    """Trains to the end of the run, with rollbacks if the user asked for them."""
    while True:
        try:
            training.train(model, progress)
            return model
        except NonFiniteError as error:
            diagnosis = training.diagnosis(model, error)
            if on_nan == "stop":
                raise UsageError(
                    f"{diagnosis}. The checkpoints in {training.workdir.checkpoints} "
                    "are from before it; --on_nan=rollback resumes from the last one "
                    "and skips these batches."
                ) from error
            model, progress = training.roll_back(model, error, diagnosis)


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


@contextlib.contextmanager
def _lost_workers_stop(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Raises `StoppedError` for TensorFlow's errors that mean a lost worker."""
    try:
        yield
    except tf.errors.OpError as error:
        lost = strategies.lost_worker(error, strategy)
        if not lost:
            raise
        raise StoppedError(
            f"{lost} of the {strategies.num_workers(strategy)} stopped responding; the "
            "same command on all workers resumes from the last checkpoint"
        ) from error
