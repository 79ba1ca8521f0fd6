"""The callback that writes log.csv."""

from __future__ import annotations

import csv

import keras


class EpochLog(keras.callbacks.CSVLogger):
    """Appends a line to a CSV file after each epoch.

    Keras's own callback writes `\\r\\r\\n` on Windows, and keeps the file open after an
    error, so that it cannot be replaced there. It takes the columns of a run that
    resumes from the logs of the next epoch, which may have others.

    Args:
        path: String, path of the file.
    """

    def __init__(self, path: str):
        super().__init__(path, append=True)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)  # Finds out whether the header is written.
        self.csv_file.close()
        if not self.append_header:
            with open(self.filename, encoding="utf-8", newline="") as file:
                self.keys = next(csv.reader(file))[1:]

    def on_epoch_end(self, epoch, logs=None):
        with open(self.filename, "a", encoding="utf-8", newline="") as self.csv_file:
            super().on_epoch_end(epoch, logs)
        self.writer, self.append_header = None, False
