"""Writes the readings of a monitor for TensorBoard."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from bt_keras.augmentation.pictures import view_grid
from bt_keras.augmentation.statistics import Statistics
from bt_keras.callbacks import representation
from bt_keras.callbacks.pictures import heat_map
from bt_keras.callbacks.snapshot import Snapshot
from bt_keras.files import event_files

# Rows and columns of the picture of C.
_SIDE = 256


class Summaries:
    """Writes scalars, pictures and histograms of a run.

    Args:
        folder: Path of the log, where TensorBoard finds it as a run of its own.
        statistics: `Statistics` that the views were normalized with.

    Raises:
        UsageError: From every method, if the log cannot be written.
    """

    def __init__(self, folder: str | os.PathLike, statistics: Statistics):
        self._folder = Path(folder)
        self._statistics = statistics
        self._open: tf.summary.SummaryWriter | None = None

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Writes numbers, unless they are NaN.

        Args:
            values: Dict from names to floats.
            step: Integer, the training step.
        """
        with self._writer():
            for name, value in values.items():
                if not math.isnan(value):
                    tf.summary.scalar(name, value, step)

    def trust_ratios(self, ratios: dict[str, float], step: int) -> None:
        """Writes the names of the variables with the smallest and largest ratio.

        Args:
            ratios: Dict from the paths of variables to their ratios, in order.
            step: Integer, the training step.
        """
        rows = [f"{ratio:.3g} {path}" for path, ratio in ratios.items()]
        with self._writer():
            tf.summary.text("trust_ratio", f"{rows[0]} to {rows[-1]}", step)

    def pictures(self, snapshot: Snapshot, step: int) -> None:
        """Writes C, the first pairs of views, and histograms of features.

        Args:
            snapshot: `Snapshot` of that step.
            step: Integer, the training step.
        """
        c = representation.correlations(*snapshot.embeddings, _SIDE)
        with self._writer():
            tf.summary.image("cross_correlation", heat_map(c)[None], step)
            views = snapshot.views
            if views is not None and views.shape[-1] == self._statistics.channels:
                grid = view_grid(views, self._statistics)
                tf.summary.image("views", grid[None], step)
            tf.summary.histogram("features", snapshot.features[0], step)
            tf.summary.histogram("embeddings", snapshot.embeddings[0], step)

    def close(self) -> None:
        """Closes the file. The next call of another method opens a new one."""
        writer, self._open = self._open, None
        if writer:
            with self._reporting():
                writer.close()

    @contextlib.contextmanager
    def _writer(self) -> Iterator[None]:
        """Makes the log the default one of `tf.summary`, and writes it to disk."""
        with self._reporting():
            if self._open is None:
                self._open = tf.summary.create_file_writer(str(self._folder))
            with self._open.as_default():
                yield
            self._open.flush()

    def _reporting(self) -> contextlib.AbstractContextManager[None]:
        return event_files.reporting(self._folder, "choose another folder.")
