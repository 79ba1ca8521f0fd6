"""Makes the runs of a queue, each in a process of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence

from bt_keras.errors import StoppedError, one_line
from bt_keras.studies.queue import FAILED, Outcome, Queue

_ERROR = "bt-keras: error: "
# Statuses of a command that was stopped; see docs/resuming.md. Also 128 + a signal.
_STOPPED = 75
_SIGNALED = 128


def run_queue(queue: Queue, command: Callable[[str], Sequence[str]]) -> None:
    """Makes all runs that have not ended, one after the other.

    A run that fails is recorded with its error, and the next one begins. Several
    processes can call this for the same queue: each run is made once.

    Args:
        queue: `Queue`.
        command: Function from the name of a run to the command that makes it and
            records its outcome, see `run_entry`.

    Raises:
        UsageError: If there are no runs, or the queue cannot be read or written.
        StoppedError: If the process of a run was asked to stop.
    """
    queue.require_runs()
    names = queue.names()
    for number, name in enumerate(names, start=1):
        title = f"run {number} of {len(names)}, {name}"
        if queue.outcome(name):
            continue
        with queue.claimed(name) as is_free:
            pass
        if not is_free:
            print(f"{title}: another process makes it", flush=True)
            continue
        _run(queue, name, title, command(name))


def _run(queue, name, title, command):
    start = time.monotonic()
    log = queue.log(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        status = _wait(subprocess.Popen(command, stdout=file, stderr=file))
    if status == _STOPPED or status > _SIGNALED:
        raise StoppedError(
            f"{title} was stopped; the same command continues with it (its output is "
            f"in {log})"
        )
    if status:
        error = _last_error(log, status)
        queue.record(name, Outcome(FAILED, time.monotonic() - start, error=error))
    if outcome := queue.outcome(name):
        end = f": {outcome.error}" if outcome.error else ""
        print(f"{title}: {outcome.status} in {outcome.seconds:.0f} s{end}", flush=True)


def _wait(process):
    """Waits for a process; stops it if this process is asked to stop."""
    try:
        return process.wait()
    except BaseException:
        process.terminate()  # It writes a checkpoint and ends.
        process.wait()
        raise


def _last_error(log, status):
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    if status < 0:
        return f"ended by signal {-status}"
    for line in reversed(lines):
        if line.startswith(_ERROR):
            return one_line(line.removeprefix(_ERROR), 500)
    return f"ended with status {status}"
