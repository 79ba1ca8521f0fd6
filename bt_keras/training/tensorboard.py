"""The TensorBoard log of a run."""

from __future__ import annotations

import contextlib
from pathlib import Path

import keras

from bt_keras.files import event_files

_ADVICE = "take another --workdir. The same command resumes from the newest checkpoint."


class TensorBoard(keras.callbacks.TensorBoard):
    """Writes the metrics of each epoch, and reports a full disk.

    Args:
        folder: Path of the log.

    Raises:
        UsageError: From `fit`, if the log cannot be written.
    """

    def __init__(self, folder: Path):
        super().__init__(str(folder), write_graph=False)

    def on_train_begin(self, logs=None):
        with self._reporting():
            super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        with self._reporting():
            super().on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        """Skips the scalars of each batch, which are not written but take memory."""

    def on_test_begin(self, logs=None):
        with self._reporting():
            super().on_test_begin(logs)

    def on_test_end(self, logs=None):
        with self._reporting():
            super().on_test_end(logs)

    def on_epoch_end(self, epoch, logs=None):
        with self._reporting():
            super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        with self._reporting():
            super().on_train_end(logs)

    def _reporting(self) -> contextlib.AbstractContextManager[None]:
        return event_files.reporting(self.log_dir, _ADVICE)
