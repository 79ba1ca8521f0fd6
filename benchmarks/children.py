"""Processes that a benchmark starts, and how they end."""

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
_INTERVAL = 0.5  # seconds between two looks at a process's memory
_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
_KEPT = 1 << 16  # bytes of output


def environment():
    """Returns the environment of every process: what the bt-keras command sets, too."""
    return os.environ | {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


@contextlib.contextmanager
def started(command):
    """Starts a process in the checkout's folder; ends it, and its children, after.

    Args:
        command: list of str.

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
    """A process that a benchmark started, and the file of what it complains about."""

    def __init__(self, process, errors):
        self.process = process
        self._errors = errors

    def failure(self):
        """Waits for the end; returns str, why it came, or None if all was well."""
        status = self.process.wait()
        if status < 0:
            return f"ended by {signal.Signals(-status).name}, as when out of memory"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        reasons = [line.strip() for line in lines if line.strip()]
        return (reasons or ["no reason given"])[-1] if status else None

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run(command, patience, until=None):
    """Runs a command and measures it.

    Args:
        command: list of str.
        patience: float, seconds, after which it is ended.
        until: regular expression, bytes: it is ended when its output, without
            colours, matches; None to wait for its end.

    Returns:
        (seconds, peak in bytes, why it failed or None).
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
            read = os.read(child.process.stdout.fileno(), _KEPT)
            seconds = time.perf_counter() - begin
            if not read:
                reason = child.failure()
                seconds = time.perf_counter() - begin
                return seconds, peak, reason or (until and "ended too early")
            output = (output + read)[-_KEPT:]
            if until and re.search(until, _COLOURS.sub(b"", output)):
                return seconds, peak, None
