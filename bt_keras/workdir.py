"""The folder of one run: its config, logs, checkpoints and results."""

import contextlib
import csv
import fcntl
import os
from pathlib import Path

from bt_keras import atomic
from bt_keras import config as config_lib
from bt_keras.errors import UsageError


class Workdir:
    """Paths and small files of a run; nothing is created before `claim`.

    Args:
        path: str or path of a folder, which need not exist.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.lock_file = self.path / "lock"
        self.log_file = self.path / "log.csv"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.sample_views = self.path / "views.png"
        self.results_file = self.path / "results.csv"
        self.module = self.path / "module"
        self.export_report = self.path / "export.json"

    def config(self):
        """Returns the `ConfigDict` of the run, or raises `UsageError`."""
        if not self._has_config():
            raise UsageError(
                f"workdir {self.path} holds no run (there is no config.json in it): "
                "make one with `bt-keras pretrain --workdir`."
            )
        try:
            return config_lib.from_json(self.config_file.read_text())
        except ValueError as error:
            raise UsageError(
                f"{self.config_file} is damaged ({error}): restore it, or take another "
                "--workdir."
            ) from error

    def _has_config(self):
        with writable(self.path):
            return self.config_file.is_file()

    def check_writable(self):
        """Raises `UsageError` if results could not be kept."""
        if not os.access(self.path, os.W_OK):
            raise UsageError(f"workdir {self.path} cannot be written: no permission.")

    def check_config(self, config):
        """Raises `UsageError` if the folder belongs to a run with another config."""
        if not self._has_config():
            return
        differences = [
            difference
            for difference in config_lib.differences(self.config(), config)
            # They do not change what is trained.
            if not difference[0].startswith(("checkpoint.", "evaluation."))
        ]
        if differences:
            fields = "; ".join(
                f"{f} is {old}, not {new}" for f, old, new in differences
            )
            raise UsageError(
                f"workdir {self.path} belongs to a run with another config: {fields}. "
                "Take another --workdir, or that run's config."
            )

    def check_start(self, config):
        """Raises `UsageError` if a run with this config cannot begin or go on here."""
        self.check_config(config)
        if self.lock_file.exists():
            with self.locked():
                pass

    def claim(self, config):
        """Makes the folder and writes the config into it."""
        self.check_config(config)
        with writable(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.replace(self.config_file, config_lib.to_json(config))

    @contextlib.contextmanager
    def locked(self, locks=True):
        """Keeps a second process from training in the same folder.

        Args:
            locks: bool, False for workers that train together with one that does.

        Raises:
            UsageError: if another process trains there.
        """
        if not locks:
            yield
            return
        with writable(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # The system lets go of it when the process ends, however that may be.
            file = self.lock_file.open("w")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"workdir {self.path} is in use: another process trains there. "
                    "Wait for it, stop it, or take another --workdir."
                ) from error
            except OSError:  # A file system without locks.
                pass
            yield

    def cut_log(self, epochs):
        """Drops lines of log.csv from after the checkpoint that a run goes on from."""
        if self.log_file.is_file():
            lines = self.log_file.read_text().splitlines(keepends=True)
            # A killed process may have written half a line.
            header, *lines = [line for line in lines if line.endswith("\n")] or [""]
            numbers = (line.split(",")[0] for line in lines)
            kept = [
                line
                for line, number in zip(lines, numbers, strict=True)
                if number.isdecimal() and int(number) < epochs
            ]
            self.replace(self.log_file, "".join([header, *kept]))

    def replace(self, path: Path, text: str) -> None:
        """Write one of the small files of the run, whole or not at all."""
        advice = "free space, or take another --workdir"
        unfinished = path.with_name(f".{path.name}.unfinished") / path.name
        with atomic.atomic_file(
            path, replace=True, temporary=unfinished, advice=advice
        ) as temporary:
            temporary.write_text(text)

    def last_log(self):
        """Returns the last line of log.csv as a dict of floats, or None."""
        if not self.log_file.is_file():
            return None
        with self.log_file.open(newline="") as file:
            rows = list(csv.DictReader(file))
        # Keras adds columns of "NA" for a validation that there is none of.
        return {k: float(v) for k, v in rows[-1].items() if v != "NA"} if rows else None


@contextlib.contextmanager
def writable(path):
    """Turns what the file system refuses inside `path` into a `UsageError`."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"workdir {path} cannot be written: {error.strerror} ({error.filename}); "
            "take another --workdir."
        ) from error
