"""Check every image file of a folder once and keep the results between starts.

The results are kept in the user's cache folder, in one file for each image folder. A
file is checked again only if its size or its modification time has changed. Without a
usable cache all files are checked at every start.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bt_keras.atomic import atomic_file
from bt_keras.data.decode import check_image
from bt_keras.errors import DAMAGE, UsageError

FORMAT = 1
# Seconds between two writes of the index, so that an interrupted check can resume.
SAVE_INTERVAL = 60.0
# Files that a thread handles at a time: Python's thread pool takes about 30 us a task.
_CHUNK = 64
# Below this number of files, checking them takes a few seconds at most.
_SHOW_PROGRESS_FROM = 2_000
# Threads that ask for sizes and times; a network file system takes up to 1 ms a file.
_STAT_THREADS = 16
_NO_STAT = (-1, -1)


class FileInfo(NamedTuple):
    """Result of checking one image file.

    Attributes:
        num_bytes: Integer. File size, or -1 if the file could not be opened.
        mtime_ns: Integer. Modification time in nanoseconds, or -1.
        height: Integer. Height in pixels, 0 if the image cannot be decoded.
        width: Integer. Width in pixels, 0 if the image cannot be decoded.
        problem: String. Why the image cannot be decoded, such as "is empty", or "".
    """

    num_bytes: int
    mtime_ns: int
    height: int
    width: int
    problem: str


def check_files(root: str, paths: Sequence[str]) -> list[FileInfo]:
    """Checks image files by decoding those that are not in the index of `root`.

    If several processes check the same folder at once, one of them decodes and the
    others wait for its results.

    Args:
        root: String. Folder of the images. Its real path identifies the index.
        paths: Sequence of strings. Files below `root`, each beginning with `root`.

    Returns:
        List of `FileInfo`, one for each path.
    """
    names = [path[len(root) :].lstrip(os.sep) for path in paths]
    stats = list(_map_in_threads(_stat, paths, _STAT_THREADS))
    index_path = _index_path(root)
    index = load_index(index_path, root)
    found = _lookup(index, names, stats)
    if None not in found and len(index) == len(names):
        return found
    with _lock(index_path):
        # Another process may have written the index in the meantime.
        found = _lookup(load_index(index_path, root), names, stats)

        def save():
            pairs = zip(names, found, strict=True)
            saved = {n: i for n, i in pairs if i is not None and i.num_bytes >= 0}
            save_index(index_path, root, saved)

        try:
            _check_missing(paths, found, save)
        finally:
            save()
    return found


def cache_folder() -> Path | None:
    """Finds the folder in which the library keeps files between starts.

    Returns:
        The folder that the environment variable `BT_KERAS_CACHE` names, otherwise
        `bt_keras` in the platform's cache folder for the user (`$XDG_CACHE_HOME` or
        `~/.cache` on Linux). None if the user has no home folder.
    """
    if os.environ.get("BT_KERAS_CACHE"):
        return Path(os.environ["BT_KERAS_CACHE"]).expanduser().absolute()
    if sys.platform == "darwin":
        base = "~/Library/Caches"
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        base = base if os.path.isabs(base) else "~/.cache"
    folder = Path(os.path.expanduser(base), "bt_keras")
    return folder if folder.is_absolute() else None


def load_index(path: Path | None, root: str) -> dict[str, FileInfo]:
    """Reads the index of a folder.

    Args:
        path: Path of the index, or None.
        root: String. Folder of the images.

    Returns:
        Dict from a path relative to `root` to `FileInfo`. Empty if there is no index,
        or if it is damaged, of another format or of another folder.
    """
    if path is None:
        return {}
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
        if arrays["format"] != FORMAT or _split(arrays["folder"]) != [_real(root)]:
            return {}
        names, problems = _split(arrays["names"]), _split(arrays["problems"])
        columns = arrays["columns"].tolist()
        return {
            name: FileInfo._make((*numbers, problems[problem]))
            for name, (*numbers, problem) in zip(names, columns, strict=True)
        }
    except (OSError, AttributeError, *DAMAGE):
        return {}


def save_index(path: Path | None, root: str, index: dict[str, FileInfo]) -> None:
    """Writes the index of a folder, whole or not at all, if the file system allows.

    Args:
        path: Path of the index, or None to do nothing.
        root: String. Folder of the images.
        index: Dict from a path relative to `root` to `FileInfo`.
    """
    if path is None:
        return
    # Problems are few and repeat, so that each file holds the number of its problem.
    problems = {"": 0}
    columns = [
        (*info[:-1], problems.setdefault(info.problem, len(problems)))
        for info in index.values()
    ]
    arrays = {
        "format": np.int64(FORMAT),
        "folder": _join([_real(root)]),
        "names": _join(index),
        "columns": np.array(columns, np.int64).reshape(-1, 5),
        "problems": _join(problems),
    }
    # Without an index, the next start checks all files again.
    with (
        contextlib.suppress(UsageError),
        atomic_file(path, replace=True) as temporary,
    ):
        np.savez(temporary, **arrays)


def _index_path(root: str) -> Path | None:
    folder = cache_folder()
    digest = hashlib.sha256(os.fsencode(_real(root))).hexdigest()[:32]
    return folder / "folders" / f"{digest}.npz" if folder else None


def _real(root):
    return os.path.realpath(root)


def _join(texts):
    """Texts as one uint8 array; no path contains a zero byte."""
    return np.frombuffer(b"\0".join(map(os.fsencode, texts)), np.uint8)


def _split(array):
    return [os.fsdecode(text) for text in array.tobytes().split(b"\0")]


def _lookup(index, names, stats) -> list:
    """Entries of the index that are up to date, None for all other files."""
    entries = map(index.get, names)
    return [
        entry if entry is not None and entry[:2] == stat else None
        for entry, stat in zip(entries, stats, strict=True)
    ]


def _check_missing(paths, found, save) -> None:
    """Replaces every None in `found`, and calls `save` from time to time."""
    missing = [number for number, info in enumerate(found) if info is None]
    progress = _progress(len(missing))
    saved = time.monotonic()
    # TensorFlow and Pillow decode without holding Python's lock.
    checked = _map_in_threads(_check, [paths[n] for n in missing], os.cpu_count())
    for count, (number, info) in enumerate(zip(missing, checked, strict=True), 1):
        found[number] = info
        progress(count)
        if time.monotonic() - saved > SAVE_INTERVAL:
            save()
            saved = time.monotonic()


def _check(path: str) -> FileInfo:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            size, problem = check_image(file.read())
    except OSError as error:
        return FileInfo(*_NO_STAT, 0, 0, f"cannot be opened ({error.strerror})")
    except MemoryError:
        return FileInfo(*_NO_STAT, 0, 0, "does not fit into memory")
    height, width = size or (0, 0)
    return FileInfo(status.st_size, status.st_mtime_ns, height, width, problem or "")


def _stat(path):
    try:
        status = os.stat(path)
    except OSError:
        return _NO_STAT
    return status.st_size, status.st_mtime_ns


def _map_in_threads(function: Callable, items: Sequence, threads) -> Iterator:
    """Yields `function(item)` of every item, in order."""
    chunks = [items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        done = pool.map(lambda chunk: [function(item) for item in chunk], chunks)
        yield from itertools.chain.from_iterable(done)


def _progress(total):
    if total < _SHOW_PROGRESS_FROM:
        return lambda number: None
    import keras

    print(f"Checking {total} image files")
    return keras.utils.Progbar(total, unit_name="file").update


@contextlib.contextmanager
def _lock(path: Path | None):
    """Holds the lock of an index, if the platform and the file system have locks."""
    with contextlib.ExitStack() as stack:
        if path is not None:
            with contextlib.suppress(ImportError, OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(open(path.with_suffix(".lock"), "ab"))
                _wait_for_lock(file)
        yield


def _wait_for_lock(file):
    import fcntl  # Not on Windows.

    for attempt in itertools.count():
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == 20:
                print("Waiting for another process that checks the same image files")
            time.sleep(0.1)
