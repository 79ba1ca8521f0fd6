"""Reads mutations of a group of kinds: `child.py GROUP SHARE FOLDER FINDINGS.json`.

SHARE is the part of the mutations that is read, 1 for all.

Each is read in a folder of its own, and must end with a value or an error of one line.
FINDINGS.json gets a list of what did not, and how far the memory rose.
"""

import faulthandler
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

import numpy as np

from tests.fuzz.kinds import GROUPS

_SEED = 0
_BATCH = 50
# A batch takes a second; a reader that loops ends the process with its traceback.
_HANG_SECONDS = 300
_MAX_FINDINGS = 10
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events with the path in their first or second argument, and events that start programs
# or connect.
_CHANGES = {"os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.chmod": 0}
_CHANGES |= {"os.symlink": 1, "os.link": 1, "os.truncate": 0, "os.utime": 0}
_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.fork")
_PROGRAMS += ("socket.connect", "pickle.find_class")


class Watch:
    """Collects the writes outside a folder, from Python's audit events."""

    def __init__(self, folder):
        self._folder = f"{os.path.realpath(folder)}/"
        self.outside = []
        self.active = False
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if not self.active:
            return
        if event in _PROGRAMS:
            self.outside.append(f"{event} {arguments!r}"[:200])
        elif event == "open":
            path, _, flags = arguments
            if not isinstance(path, int) and (flags or 0) & _WRITES:
                self._check(event, path)
        # `shutil.rmtree` gives names relative to an open folder.
        elif event in _CHANGES and arguments[-1] in (-1, None):
            self._check(event, arguments[_CHANGES[event]])

    def _check(self, event, path):
        path = os.path.realpath(os.fsdecode(path))
        if not f"{path}/".startswith(self._folder) and path != os.devnull:
            self.outside.append(f"{event} {path}"[:200])


_PROC = Path("/proc/self")  # Not on macOS and Windows, where memory is not watched.


def _memory(field):
    if not _PROC.exists():
        return 0
    status = (_PROC / "status").read_text(encoding="utf-8")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def _reset_peak():
    if _PROC.exists():
        (_PROC / "clear_refs").write_text("5", encoding="utf-8")


def _problem(kind, path, watch):
    """Reads a file; returns what is wrong with how that ended, or `None`."""
    watch.active = True
    try:
        kind.read(path)
    except kind.errors as error:
        text = str(error)
        if not text or not all(c.isprintable() for c in text):
            return f"an error that is not one line: {text!r}"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
    finally:
        watch.active = False
    if watch.outside:
        return f"outside the folder: {watch.outside.pop()}"
    return None


def run(kind, count, folder, watch):
    """Returns `(problems, peak)`: list of str, and the rise of memory in bytes."""
    name = type(kind).__name__
    (folder / "samples").mkdir(parents=True)
    samples = kind.samples(folder / "samples")
    largest = max(map(len, samples))
    for number, sample in enumerate(samples):
        path = _write(folder, f"sample{number}", kind, sample)
        kind.read(path)  # Imports what reading needs, which writes caches.
        path = _write(folder, f"again{number}", kind, sample)
        if problem := _problem(kind, path, watch):
            raise AssertionError(f"sample {number}: {problem}")
    problems, peak = [], 0
    for first in range(0, count, _BATCH):
        faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
        _reset_peak()
        before = _memory("VmRSS")
        for number in range(first, min(first + _BATCH, count)):
            rng = np.random.default_rng((_SEED, number))
            sample = samples[rng.integers(len(samples))]
            change = kind.changes[rng.integers(len(kind.changes))]
            content = change(rng, sample, samples)
            largest = max(largest, len(content))
            path = _write(folder, f"case{number}", kind, content)
            if problem := _problem(kind, path, watch):
                problems.append(f"{name} {number}: {problem}")
            else:
                shutil.rmtree(path.parent)
        peak = max(peak, _memory("VmHWM") - before - largest)
        if len(problems) >= _MAX_FINDINGS:
            break
    return problems, peak


def _write(folder, name, kind, content):
    path = folder / name / f"file{kind.suffix}"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def main(group, share, folder, findings):
    """Writes what is wrong with the kinds of a group."""
    faulthandler.enable()
    watch, found = Watch(folder), {}
    for kind in GROUPS[group]:
        name, count = type(kind).__name__, round(kind.count * float(share))
        problems, peak = run(kind, count, Path(folder, name), watch)
        found[name] = {"problems": problems, "peak": peak}
    Path(findings).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
