"""The folder of a run: its config, logs, checkpoints and results."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict

from bt_keras import atomic, system
from bt_keras import config as config_lib
from bt_keras.errors import UsageError


class Workdir:
    """The paths and small files of a run. `claim` creates the folder.

    Args:
        path: Path of a folder, which may not exist yet.
    """

    def __init__(self, path: str | os.PathLike):
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

    def config(self) -> ConfigDict:
        """Returns the config of the run.

        Raises:
            UsageError: If the folder holds no run or its config is damaged.
        """
        if not self._has_config():
            raise UsageError(
                f"workdir {self.path} holds no run (it has no config.json): create one "
                "with `bt-keras pretrain --workdir`."
            )
        try:
            return config_lib.from_json(self.config_file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(
                f"{self.config_file} is damaged ({error}): restore it, or take another "
                "--workdir."
            ) from error

    def checked_config(self) -> ConfigDict:
        """Returns the config of the run after checking its values.

        Raises:
            UsageError: As `config`, or if no command could use a value.
        """
        config = self.config()
        with config_lib.naming(self.config_file):
            config_lib.check(config)
        return config

    def _has_config(self) -> bool:
        with writable(self.path):
            return self.config_file.is_file()

    def check_writable(self) -> None:
        """Raises `UsageError` if results cannot be written."""
        if not os.access(self.path, os.W_OK):
            raise UsageError(f"workdir {self.path} cannot be written: no permission.")

    def check_config(self, config: ConfigDict) -> None:
        """Checks that the folder is new or belongs to a run with this config.

        Args:
            config: `ConfigDict`. Its fields for checkpoints and evaluation may differ.

        Raises:
            UsageError: If another field differs; the message names it.
        """
        if not self._has_config():
            return
        differences = [
            difference
            for difference in config_lib.differences(self.config(), config)
            # These do not affect training.
            if not difference[0].startswith(("checkpoint.", "evaluation."))
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

        Args:
            epochs: Integer >= 0, finished epochs of the checkpoint that the run resumes
                from.
        """
        if self.log_file.is_file():
            lines = self.log_file.read_text(encoding="utf-8").splitlines(keepends=True)
            # A killed process may have written an incomplete line.
            header, *lines = [line for line in lines if line.endswith("\n")] or [""]
            numbers = (line.split(",")[0] for line in lines)
            kept = [
                line
                for line, number in zip(lines, numbers, strict=True)
                if number.isdecimal() and int(number) < epochs
            ]
            self.replace(self.log_file, "".join([header, *kept]))

    def replace(self, path: Path, content: str | bytes) -> None:
        """Replaces one of the small files of the run atomically."""
        content = content.encode() if isinstance(content, str) else content
        advice = "free space, or take another --workdir"
        unfinished = path.with_name(f".{path.name}.unfinished") / path.name
        with atomic.atomic_file(
            path, replace=True, temporary=unfinished, advice=advice
        ) as temporary:
            temporary.write_bytes(content)

    def last_log(self) -> dict[str, float] | None:
        """Returns the last line of log.csv, or None if there is none."""
        if not self.log_file.is_file():
            return None
        with self.log_file.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        # Keras writes "NA" for validation metrics if there is no validation.
        return {k: float(v) for k, v in rows[-1].items() if v != "NA"} if rows else None


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Raises `UsageError` for errors of the file system inside the folder `path`."""
    try:
        yield
    except BrokenPipeError:  # Stdout is closed; the folder is not the cause.
        raise
    except OSError as error:
        raise UsageError(
            f"workdir {path} cannot be written: {error.strerror} ({error.filename}); "
            "take another --workdir."
        ) from error
