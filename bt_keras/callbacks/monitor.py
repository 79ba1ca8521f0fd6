"""A Keras callback that watches what a model learns."""

from __future__ import annotations

import math
import os
from pathlib import Path

import keras
import numpy as np
from absl import logging

from bt_keras import checks
from bt_keras.augmentation import statistics as augmentation_statistics
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.callbacks import readings, rules
from bt_keras.callbacks.attaching import check_model
from bt_keras.callbacks.input_watch import InputWatch, StepTimes
from bt_keras.callbacks.snapshot import Snapshot, StepSnapshots
from bt_keras.callbacks.summaries import Summaries
from bt_keras.distribution import strategies
from bt_keras.errors import UsageError

# What `fit` logs, with the lowest loss so far after it.
NAMES = (
    "feature_std",
    "dead_features",
    "diagonal",
    "off_diagonal",
    "loss_above_floor",
    "feature_rank",
    "embedding_rank",
    "gradient_norm",
    "weight_norm",
    "trust_ratio_min",
    "trust_ratio_max",
    "images_per_second",
    "input_share",
)
_OF_LARS = ("trust_ratio_min", "trust_ratio_max")
# Readings between two with pictures.
_PICTURES_EVERY = 10


class RepresentationMonitor(keras.callbacks.Callback):
    """Watches features, embeddings, gradients and speed in any `fit` of `BarlowTwins`.

    Every `every_steps` steps, from the first one on, it computes the numbers that
    docs/callbacks.md explains, from the features, embeddings and gradients of the
    training step itself, over all replicas. `fit` logs the last ones at the end of
    every epoch. It warns, once each, of a collapse, constant features, a learning rate
    that is too high, steps that wait for data, a `lambd` out of balance, and a batch
    that is too small for the width of the embeddings.

    The weights are those of training without it. Checkpoints of `bt-keras pretrain`
    store the last numbers.

    Args:
        every_steps: Integer > 0. Defaults to `100`.
        log_dir: Optional path of a folder, such as that of
            `keras.callbacks.TensorBoard`. The subfolder `monitor` receives the numbers
            of every reading, and with every tenth one pictures (the first 256 rows and
            columns of the cross-correlation matrix, pairs of views) and histograms of
            features and embeddings. Defaults to `None`: no log.
        statistics: `bt_keras.Statistics` that the views were normalized with, for the
            pictures. Views with another number of bands are not drawn. Defaults to
            those of ImageNet.

    Raises:
        UsageError: If an argument has the wrong type or is out of range; from `fit`, if
            the model is not a `bt_keras.BarlowTwins` or has another monitor, or the log
            cannot be written.

    Example:

    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = bt_keras.BarlowTwins(backbone, projector=(32, 32))
    >>> model.compile(optimizer=bt_keras.LARS(0.2))
    >>> view_a = np.random.default_rng(0).normal(size=(8, 16, 16, 3))
    >>> monitor = bt_keras.callbacks.RepresentationMonitor(every_steps=1)
    >>> history = model.fit(
    ...     view_a, view_a[:, :, ::-1], batch_size=8, verbose=0, callbacks=[monitor]
    ... )
    >>> 0 < history.history["feature_rank"][-1] <= 8
    True
    """

    def __init__(
        self,
        every_steps: int = 100,
        log_dir: str | os.PathLike | None = None,
        statistics: Statistics = IMAGENET,
    ):
        super().__init__()
        every = checks.number("every_steps", every_steps, checks.COUNT)
        self.observer = StepSnapshots(every, len(NAMES) + 1)
        self._every = every
        self._summaries: Summaries | None = None
        if log_dir is not None:
            statistics = augmentation_statistics.check(statistics)
            self._summaries = Summaries(Path(log_dir) / "monitor", statistics)
        self._rules, self._watch = rules.Rules(), InputWatch()
        self._times = StepTimes()

    def set_model(self, model):
        check_model(self, model)
        super().set_model(model)
        others = (each for each in model.observers if each is not self.observer)
        if any(isinstance(each, StepSnapshots) for each in others):
            raise UsageError(
                "the model has a RepresentationMonitor already, which logs the same "
                "names: leave one out."
            )
        if self.observer.model is not model:  # Another model is another run.
            self._rules, self._watch = rules.Rules(), InputWatch()
        model.observe(self.observer)
        self._watch.set_model(model)

    def on_train_begin(self, logs=None):
        self._read = self.observer.newest()
        *values, lowest = map(float, self.observer.values.numpy())
        self._lowest = math.inf if math.isnan(lowest) else lowest
        self._values = dict(zip(NAMES, values, strict=True))
        self._images = 0  # Before the first step whose time counts.
        self._traced = False
        self._times.reset()

    def on_epoch_begin(self, epoch, logs=None):
        self._watch.on_epoch_begin(epoch)
        self._times.start(self.model.train_function)

    def on_train_batch_end(self, batch, logs=None):
        self._watch.on_train_batch_end(batch)
        if self._traced:
            self._times.add(self.model.train_function)
        else:  # The first call includes the compilation.
            self._times.start(self.model.train_function)
            self._images = self.observer.images()
            self._traced = True
        newest = self.observer.newest()
        if newest != self._read:
            self._read = newest
            self._report(self.observer.read(), newest)

    def on_epoch_end(self, epoch, logs=None):
        if math.isnan(self._values["images_per_second"]):
            self._values |= self._speed()
        logs |= self._shown()

    def on_train_end(self, logs=None):
        if self._summaries:
            self._summaries.close()

    def _shown(self) -> dict[str, float]:
        """Returns the values that this model has."""
        hidden = () if readings.lars_of(self.model.optimizer) else _OF_LARS
        return {k: v for k, v in self._values.items() if k not in hidden}

    def _report(self, snapshot: Snapshot, step: int) -> None:
        """Computes all values of a snapshot, writes them and warns."""
        self._values |= readings.of_representation(snapshot, self.model.lambd)
        self._values |= readings.of_gradients(snapshot)
        self._values |= self._speed()
        self._times.reset()
        self._images = self.observer.images()
        ratios: dict[str, float] = {}
        if lars := readings.lars_of(self.model.optimizer):
            variables = self.model.trainable_variables
            ratios = readings.trust_ratios(snapshot, variables, lars)
        if ratios:
            self._values["trust_ratio_min"] = min(ratios.values())
            self._values["trust_ratio_max"] = max(ratios.values())
        # As the checkpoint stores them: a run that resumes logs the same numbers.
        self._values = {k: float(np.float32(v)) for k, v in self._values.items()}
        self._warn(snapshot, step)
        state = [*self._values.values(), self._lowest]
        self.observer.values.assign(np.array(state, np.float32))
        if self._summaries and strategies.is_chief(self.model.distribute_strategy):
            self._write(self._summaries, snapshot, ratios, step)

    def _speed(self) -> dict[str, float]:
        """Returns the speed since the last reading; nothing before the second step."""
        times = self._times
        if not times.calls:
            return {}
        images = self.observer.images() - self._images
        return {
            "images_per_second": images / times.seconds,
            "input_share": times.share,
        }

    def _warn(self, snapshot: Snapshot, step: int) -> None:
        batch, width = snapshot.batch, snapshot.embeddings[0].shape[1]
        shared = ("feature_std", "dead_features", "diagonal", "off_diagonal")
        reading = rules.Reading(
            batch=batch,
            features=snapshot.features[0].shape[1],
            width=width,
            lambd=self.model.lambd,
            learning_rate=_rate(self.model.optimizer),
            loss=snapshot.loss,
            lowest_loss=self._lowest,
            floor=readings.loss_floor(snapshot, self.model.lambd),
            **{name: self._values[name] for name in shared},
        )
        self._lowest = float(np.fmin(self._lowest, snapshot.loss))
        sentences = self._rules(reading)
        if not strategies.is_chief(self.model.distribute_strategy):
            return  # The readings of all workers are the same.
        for sentence in sentences:
            print(flush=True)  # Ends the line of the progress bar.
            logging.warning("%s", sentence)

    def _write(
        self,
        summaries: Summaries,
        snapshot: Snapshot,
        ratios: dict[str, float],
        step: int,
    ) -> None:
        summaries.scalars({"loss": snapshot.loss, **self._shown()}, step)
        if ratios:
            summaries.trust_ratios(ratios, step)
        if (step - 1) % (_PICTURES_EVERY * self._every) == 0:
            summaries.pictures(snapshot, step)


def _rate(optimizer: keras.optimizers.Optimizer) -> float:
    """Returns the learning rate of now, also of a schedule."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
