"""Try out a run without training: build everything and read one batch."""

from __future__ import annotations

import os
import time

import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import data
from bt_keras.data import faults
from bt_keras.distribution import strategies
from bt_keras.training import sample_views, setup
from bt_keras.training.inputs import open_inputs
from bt_keras.training.warm_start import WarmStart
from bt_keras.workdir import Workdir, writable


def dry_run(
    config: ConfigDict,
    workdir: str | os.PathLike,
    strategy: tf.distribute.Strategy | None = None,
    init_from: str | os.PathLike | None = None,
) -> None:
    """Builds the data, the model and the optimizer of a run, and reads one batch.

    Prints what the run would train, and writes views.png into the workdir, nothing
    else: `pretrain` can start there afterwards.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        workdir: Path of the run's folder.
        strategy: `tf.distribute.Strategy`. Defaults to the one in scope.
        init_from: Optional string or path, as for `pretrain`. Defaults to `None`.

    Raises:
        UsageError: If the config, the data, the workdir or `init_from` cannot be used,
            or an image of the first batch cannot be read.
    """
    strategy = strategy or tf.distribute.get_strategy()
    setup.apply(config)
    folder = Workdir(workdir)
    inputs = open_inputs(config, folder, strategy)
    config, source, views = inputs.config, inputs.source, inputs.views
    with strategy.scope():
        model = setup.new_model(config, inputs.steps_per_epoch)
        model.optimizer.build(model.trainable_variables)
    warm_start = WarmStart(model, init_from, views.statistics) if init_from else None
    start = time.monotonic()
    with faults.named(source.find_fault):
        batch = next(iter(data.pairs(source, views, config.batch_size, config.seed)))
    seconds = time.monotonic() - start
    if strategies.is_chief(strategy):
        with writable(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
        folder.replace(folder.sample_views, sample_views.draw(batch, views.statistics))
        described = [warm_start.describe()] if warm_start else []
        described += [*inputs.describe(), *_describe(inputs, model)]
        print(*described, sep="\n")
        print(f"the first batch was read in {seconds:.1f} s")
        print(f"first pairs of views: {folder.sample_views}")
        print("nothing was trained: --dry_run")


def _describe(inputs, model):
    config, steps = inputs.config, inputs.steps_per_epoch
    size = config.views.size
    yield (
        f"backbone: {model.backbone.count_params():,} weights; projector: "
        f"{model.projector.count_params():,}"
    )
    yield (
        f"{config.epochs} epochs of {steps} steps, each on "
        f"{config.batch_size} pairs of views of {size} x {size} pixels"
    )
