"""A queue of runs in a folder: what to run, what has been run, and with what results.

    queue/entries/NAME.json    a config and the evaluations of its run
    queue/outcomes/NAME.json   how the run ended, and its values
    queue/runs/NAME/           the workdir
    queue/logs/NAME.log        what the run has printed
    queue/locks/NAME           locked by the process that makes the run
    queue/results.csv          all outcomes, a line for each

An outcome is written when a run has ended: a queue that is killed continues with the
entries that have none. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from bt_keras import config as config_lib
from bt_keras import system
from bt_keras.errors import UsageError, listed
from bt_keras.files import atomic, reading, storage
from bt_keras.studies.results_table import results_csv
from bt_keras.workdir import Workdir, writable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,99}")
FINISHED, FAILED = "finished", "failed"
_ADVICE = "restore it, or take another queue"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run of a queue has ended.

    Args:
        status: String, `"finished"` or `"failed"`.
        seconds: Float, the time of the process that ended the run. Defaults to `0.0`.
        values: Dict from names to floats, the results of the run. Defaults to `{}`.
        error: String, the line of the error of a failed run. Defaults to `""`.
    """

    status: str
    seconds: float = 0.0
    values: Mapping[str, float] = dataclasses.field(default_factory=dict)
    error: str = ""


class Queue:
    """A folder of runs, which several processes may work on.

    Args:
        path: Path of a folder on this machine, which may not exist yet.

    Example:

    >>> from bt_keras.studies.queue import Queue
    >>> queue = Queue("queue")
    >>> config = bt_keras.config.load("demo")
    >>> for lambd in (5e-3, 2e-2):
    ...     config.lambd = lambd
    ...     queue.add(f"lambd={lambd}", config, ("cached", "labelfree"))
    >>> queue.names()
    ['lambd=0.005', 'lambd=0.02']
    """

    def __init__(self, path: str | os.PathLike):
        storage.require_local(path, "queue")
        self.path = Path(os.path.expanduser(path))
        self.results_file = self.path / "results.csv"

    def add(self, name: str, config: ConfigDict, evaluations: Sequence[str]) -> None:
        """Adds a run, unless it is there already.

        Args:
            name: String of letters, digits and `._=-`, the run's folder. Runs are made
                in the order of their names.
            config: `ConfigDict` with the fields of configs/default.py.
            evaluations: Sequence of strings, the protocols to evaluate the run with.

        Raises:
            UsageError: If the queue has another run of this name, a config that no run
                could use, or cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"run {name!r} of queue {self.path}: take a name of at most 100 "
                "letters, digits and ._=- that begins with a letter or digit."
            )
        with config_lib.naming(f"run {name!r} of queue {self.path}"):
            config_lib.check(config)
        if os.path.lexists(self._file("entries", name)):
            self._check_equal(name, config, evaluations)
            return
        entry = {
            "config": json.loads(config_lib.to_json(config)),
            "evaluations": list(evaluations),
        }
        text = json.dumps(entry, indent=2) + "\n"
        self._write(self._file("entries", name), text)

    def _check_equal(self, name, config, evaluations):
        # Fields that were added to configs/default.py later have their defaults.
        there, protocols = self.entry(name)
        changed = [field for field, *_ in config_lib.differences(there, config)]
        if tuple(evaluations) != protocols:
            changed.append("evaluations")
        if changed:
            raise UsageError(
                f"queue {self.path} has another run {name!r} (it differs in "
                f"{listed(changed, 3)}): take another name, or another folder "
                "(of a study: --out)."
            )

    def names(self) -> list[str]:
        """Returns the names of all runs, sorted."""
        return sorted(path.stem for path in (self.path / "entries").glob("[!.]*.json"))

    def require_runs(self) -> None:
        """Raises `UsageError` if there is no run."""
        if not self.names():
            raise UsageError(f"queue {self.path} has no runs: it has no entries.")

    def entry(self, name: str) -> tuple[ConfigDict, tuple[str, ...]]:
        """Returns the config and the evaluations of a run.

        Args:
            name: String, the name of a run.

        Raises:
            UsageError: If there is no such run or it is damaged.
        """
        if name not in self.names():
            raise UsageError(f"queue {self.path} has no run {name!r}.")
        path = self._file("entries", name)
        with reading.reporting_damage(path, _ADVICE):
            entry = reading.read_json_object(path)
            config = config_lib.from_json(json.dumps(entry["config"]))
            return config, tuple(map(str, list(entry["evaluations"])))

    def workdir(self, name: str) -> Workdir:
        """Returns the `bt_keras.workdir.Workdir` of a run."""
        return Workdir(self.path / "runs" / name)

    def log(self, name: str) -> Path:
        """Returns the path of what a run prints."""
        return self.path / "logs" / f"{name}.log"

    def outcome(self, name: str) -> Outcome | None:
        """Returns how a run has ended, `None` if it has not."""
        path = self._file("outcomes", name)
        if not os.path.lexists(path):
            return None
        with reading.reporting_damage(path, "remove it to make the run again"):
            return _parse_outcome(reading.read_json_object(path))

    def record(self, name: str, outcome: Outcome) -> None:
        """Writes how a run has ended, and updates results.csv.

        Args:
            name: String, the name of a run.
            outcome: `Outcome`.
        """
        text = json.dumps(dataclasses.asdict(outcome), indent=2) + "\n"
        self._write(self._file("outcomes", name), text)
        with system.locked(self.path / ".results.csv.lock"):
            self._write(self.results_file, self._results())

    def forget_failed(self) -> None:
        """Removes the outcomes of failed runs, which are then made again."""
        for name in self.names():
            outcome = self.outcome(name)
            if outcome and outcome.status == FAILED:
                self._file("outcomes", name).unlink()

    @contextlib.contextmanager
    def claimed(self, name: str) -> Iterator[bool]:
        """Locks a run for this process.

        Args:
            name: String, the name of a run.

        Yields:
            Boolean, `False` if another process makes the run.
        """
        with writable(self.path):
            path = self.path / "locks" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # The system releases the lock when the process ends.
            file = path.open("ab")
        with file:
            yield system.try_lock(file)

    def _results(self):
        names = self.names()
        configs = {name: config_lib.fields(self.entry(name)[0]) for name in names}
        found = ((name, self.outcome(name)) for name in names)
        outcomes = {name: dataclasses.asdict(each) for name, each in found if each}
        return results_csv(configs, outcomes)

    def _file(self, folder, name):
        return self.path / folder / f"{name}.json"

    def _write(self, path, text):
        with atomic.atomic_file(path, replace=True) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")


def _parse_outcome(content):
    if content["status"] not in (FINISHED, FAILED):
        raise ValueError(f"its status is neither {FINISHED!r} nor {FAILED!r}")
    values = {
        str(name): float(value) for name, value in dict(content["values"]).items()
    }
    error = str(content["error"])
    return Outcome(content["status"], float(content["seconds"]), values, error)
