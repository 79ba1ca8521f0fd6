"""Starts, measures and ends the processes of a benchmark."""

import contextlib
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks import processes

ROOT = Path(__file__).resolve().parent.parent
_INTERVAL = 0.5  # seconds between two measurements of a process's memory
_COLORS = re.compile(rb"\x1b\[[0-9;]*m")
_MAX_OUTPUT = 1 << 16  # bytes of output to keep


def environment():
    """Returns the environment of every process, with the settings of `bt-keras`."""
    return os.environ | {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


@contextlib.contextmanager
def started(command):
    """Starts a process in the repository; ends it and its children on exit.

    Args:
        command: List of str.

    Yields:
        `Child`.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        child = Child(process, errors)
        try:
            yield child
        finally:
            child.end()


class Child:
    """A process started by a benchmark, and the file with its standard error."""

    def __init__(self, process, errors):
        self.process = process
        self._errors = errors

    def failure(self):
        """Waits for the process to end; returns the reason of a failure, or None."""
        status = self.process.wait()
        if status < 0:
            return f"ended by {signal.Signals(-status).name}, possibly out of memory"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        reasons = [line.strip() for line in lines if line.strip()]
        return (reasons or ["no reason given"])[-1] if status else None

    def end(self):
        """Kills the process and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run(command, patience, until=None):
    """Runs a command and measures its time and memory.

    Args:
        command: List of str.
        patience: Float, seconds after which the process is killed.
        until: Regular expression as bytes: the measurement ends when the output,
            without colors, matches. Defaults to `None`: it ends with the process.

    Returns:
        `(seconds, peak, failure)`: the peak memory is in bytes, and `failure` is a
        str, or `None` if the process succeeded.
    """
    begin, peak, output = time.perf_counter(), 0, b""
    with started(command) as child:
        while True:
            peak = max(peak, processes.peak(child.process.pid))
            seconds = time.perf_counter() - begin
            if seconds > patience:
                return seconds, peak, f"took more than {patience:g} s"
            if not select.select([child.process.stdout], [], [], _INTERVAL)[0]:
                continue
            read = os.read(child.process.stdout.fileno(), _MAX_OUTPUT)
            seconds = time.perf_counter() - begin
            if not read:
                reason = child.failure()
                seconds = time.perf_counter() - begin
                return (
                    seconds,
                    peak,
                    reason or (until and "ended before the expected output"),
                )
            output = (output + read)[-_MAX_OUTPUT:]
            if until and re.search(until, _COLORS.sub(b"", output)):
                return seconds, peak, None
