"""The folder of a run: its config, logs, checkpoints and results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from absl import logging
from ml_collections import ConfigDict

from bt_keras import config as config_lib
from bt_keras import system
from bt_keras.errors import UsageError
from bt_keras.files import atomic, log_file, reading, storage


class Workdir:
    """The paths and small files of a run. `claim` creates the folder.

    Args:
        path: Path of a folder on this machine, which may not exist yet.

    Raises:
        UsageError: If the path is remote, such as gs://bucket/run.
    """

    def __init__(self, path: str | os.PathLike):
        storage.require_local(path, "workdir")
        self.path = Path(os.path.expanduser(path))
        self.config_file = self.path / "config.json"
        self.images_file = self.path / "images.json"
        self.lock_file = self.path / "lock"
        self.log_file = self.path / "log.csv"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.sample_views = self.path / "views.png"
        self.features = self.path / "features"
        self.results_file = self.path / "results.csv"
        self.module = self.path / "module"
        self.export_report = self.path / "export.json"

    def config(self) -> ConfigDict:
        """Returns the config of the run.

        Raises:
            UsageError: If the folder holds no run or its config is damaged.
        """
        if not self.has_config():
            raise UsageError(
                f"workdir {self.path} holds no run (it has no config.json): create one "
                "with `bt-keras pretrain --workdir`."
            )
        advice = "restore it, or take another --workdir"
        with reading.reporting_damage(self.config_file, advice):
            return config_lib.from_json(reading.read_text(self.config_file))

    def checked_config(self) -> ConfigDict:
        """Returns the config of the run after checking its values.

        Raises:
            UsageError: As `config`, or if no command could use a value.
        """
        config = self.config()
        with config_lib.naming(self.config_file):
            config_lib.check(config)
        return config

    def has_config(self) -> bool:
        """Returns whether the folder holds a run."""
        with writable(self.path):
            self.config_file.exists()  # Raises if the path is not allowed.
            # A link to nothing is a damaged config.
            return os.path.lexists(self.config_file)

    def check_writable(self) -> None:
        """Raises `UsageError` if results cannot be written."""
        if not os.access(self.path, os.W_OK):
            raise UsageError(f"workdir {self.path} cannot be written: no permission.")

    def check_config(self, config: ConfigDict) -> None:
        """Checks that the folder is new or belongs to a run with this config.

        Args:
            config: `ConfigDict`. Its fields for checkpoints and evaluation may differ,
                `data.validation_split`, `threads`, `views.finish_on_device`, and the
                path of the images if the run has recorded which these are.

        Raises:
            UsageError: If another field differs; the message names it.
        """
        if not self.has_config():
            return
        # These do not affect training.
        may_differ: tuple[str, ...] = (
            "checkpoint.",
            "evaluation.",
            "data.validation_split",
            "threads",
            "views.finish_on_device",
        )
        if self.images_file.is_file():
            may_differ += ("data.source",)  # The images are compared themselves.
        if config.data.statistics == "measured":  # The run keeps what it measured.
            may_differ += ("data.mean", "data.deviation")
        differences = [
            difference
            for difference in config_lib.differences(self.config(), config)
            if not difference[0].startswith(may_differ)
        ]
        if differences:
            fields = "; ".join(
                f"{f} is {old}, not {new}" for f, old, new in differences
            )
            raise UsageError(
                f"workdir {self.path} belongs to a run with another config: {fields}. "
                "Take another --workdir, or the config of that run."
            )

    def check_start(self, config: ConfigDict) -> None:
        """Raises `UsageError` if a run with this config cannot start or resume here."""
        self.check_config(config)
        if self.lock_file.exists():
            with self.locked():
                pass

    def claim(self, config: ConfigDict) -> None:
        """Creates the folder and writes the config into it."""
        self.check_config(config)
        with writable(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.replace(self.config_file, config_lib.to_json(config))

    @contextlib.contextmanager
    def locked(self, locks: bool = True) -> Iterator[None]:
        """Prevents a second process from training in the same folder.

        Args:
            locks: Boolean, `False` for workers whose chief locks the folder. Defaults
                to `True`.

        Raises:
            UsageError: If another process trains there.
        """
        if not locks:
            yield
            return
        with writable(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # The system releases the lock when the process ends.
            file = self.lock_file.open("ab")
        with file:
            if not system.try_lock(file):
                raise UsageError(
                    f"workdir {self.path} is in use: another process trains there. "
                    "Wait for it, stop it, or take another --workdir."
                )
            yield

    def cut_log(self, epochs: int) -> None:
        """Removes the lines of log.csv that are newer than the checkpoint.

        Damaged lines are removed, too. A file that is not a log is renamed to
        log.csv.damaged. Both are reported in a warning.

        Args:
            epochs: Integer >= 0, finished epochs of the checkpoint that the run resumes
                from.
        """
        if not os.path.lexists(self.log_file):
            return
        log = log_file.read(self.log_file)
        if log is None:
            damaged = reading.set_aside(self.log_file)
            logging.warning("%s is not a log: renamed to %s.", self.log_file, damaged)
            return
        if log.damaged:
            logging.warning(
                "%s: damaged lines are removed (line %s).",
                self.log_file,
                ", ".join(map(str, log.damaged)),
            )
        self.replace(self.log_file, log.before(epochs))

    def replace(self, path: Path, content: str | bytes) -> None:
        """Replaces one of the small files of the run atomically."""
        content = content.encode() if isinstance(content, str) else content
        advice = "free space, or take another --workdir"
        unfinished = path.with_name(f".{path.name}.unfinished") / path.name
        with atomic.atomic_file(
            path, replace=True, temporary=unfinished, advice=advice
        ) as temporary:
            temporary.write_bytes(content)

    def last_log(self) -> dict[str, float]:
        """Returns the last line of log.csv, without warning of damaged lines.

        Returns:
            Dict from the names of columns to floats; empty if there is no line.
        """
        log = log_file.read(self.log_file)
        return log.last() if log else {}


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Raises `UsageError` for errors of the file system inside the folder `path`."""
    try:
        yield
    except BrokenPipeError:  # Stdout is closed; the folder is not the cause.
        raise
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise UsageError(
            f"workdir {path} cannot be written: {error.strerror or error}{place}; free "
            "space, or take another --workdir."
        ) from error
