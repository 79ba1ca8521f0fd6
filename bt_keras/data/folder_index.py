"""Check every image file of a folder once and keep the results between starts.

The results are kept in the user's cache folder, in one file for each image folder. A
file is checked again only if its size or its modification time has changed. Without a
usable cache all files are checked at every start.
"""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence

from bt_keras.data import index_file
from bt_keras.data.decode import check_image, fingerprint, largest_value
from bt_keras.data.index_file import FileInfo
from bt_keras.distribution import threads
from bt_keras.files import storage

# Seconds between two writes of the index, so that an interrupted check can resume.
SAVE_INTERVAL = 60.0
# Files that a thread handles at a time: Python's thread pool takes about 30 us a task.
_CHUNK = 64
# Below this number of files, checking them takes a few seconds at most.
_SHOW_PROGRESS_FROM = 2_000
# Threads that ask for sizes and times; a network file system takes up to 1 ms a file.
_STAT_THREADS = 16
_NO_STAT = (-1, -1)
_INT64 = 2**63 - 1


def check_files(root: str, paths: Sequence[str], channels: int = 3) -> list[FileInfo]:
    """Checks image files by decoding those that are not in the index of `root`.

    If several processes check the same folder at once, one of them decodes and the
    others wait for its results.

    Args:
        root: String. Folder of the images. Its real path identifies the index.
        paths: Sequence of strings. Files below `root`, each beginning with `root`.
        channels: Integer, see `decode_image`. Each number has an index of its own.
            Defaults to `3`.

    Returns:
        List of `FileInfo`, one for each path.
    """
    names = [path[len(root) :].lstrip(os.sep) for path in paths]
    stats = list(_map_in_threads(_stat, paths, _STAT_THREADS))
    path = index_file.index_path(root, channels)
    index = index_file.read(path, root)
    found = _lookup(index, names, stats)
    if None not in found and len(index) == len(names):
        return found
    with index_file.locked(path):
        # Another process may have written the index in the meantime.
        found = _lookup(index_file.read(path, root), names, stats)

        def save():
            pairs = zip(names, found, strict=True)
            saved = {n: i for n, i in pairs if i is not None and i.num_bytes >= 0}
            index_file.write(path, root, saved)

        try:
            _check_missing(paths, found, channels, save)
        finally:
            save()
    return found


def _lookup(index, names, stats) -> list:
    """Entries of the index that are up to date, None for all other files."""
    entries = map(index.get, names)
    return [
        entry if entry is not None and entry[:2] == stat else None
        for entry, stat in zip(entries, stats, strict=True)
    ]


def _check_missing(paths, found, channels, save) -> None:
    """Replaces every None in `found`, and calls `save` from time to time."""
    missing = [number for number, info in enumerate(found) if info is None]
    progress = _progress(len(missing))
    saved = time.monotonic()
    # TensorFlow and Pillow decode without holding Python's lock.
    check = functools.partial(check_file, channels=channels)
    checked = _map_in_threads(check, [paths[n] for n in missing], threads.count())
    for count, (number, info) in enumerate(zip(missing, checked, strict=True), 1):
        found[number] = info
        progress(count)
        if time.monotonic() - saved > SAVE_INTERVAL:
            save()
            saved = time.monotonic()


def check_file(path: str, channels: int = 3) -> FileInfo:
    """Checks one image file by decoding it."""
    try:
        contents, status = storage.read(path)
        size, problem = check_image(contents, channels)
        largest = 0 if problem else largest_value(contents, channels)
    except OSError as error:
        return _not_read(f"cannot be opened ({error.strerror})")
    except MemoryError:
        return _not_read("does not fit into memory")
    num_bytes, mtime_ns = _in_range(*status)
    digest = int(fingerprint(contents))
    height, width = size or (0, 0)
    return FileInfo(num_bytes, mtime_ns, digest, height, width, largest, problem or "")


def _not_read(problem: str) -> FileInfo:
    return FileInfo(*_NO_STAT, -1, 0, 0, 0, problem)


def _stat(path):
    try:
        return _in_range(*storage.size_and_time(path))
    except OSError:
        return _NO_STAT


def _in_range(num_bytes, mtime_ns):
    # Times after the year 2262, which a wrong clock may set, exceed int64.
    return num_bytes, max(-_INT64, min(mtime_ns, _INT64))


def _map_in_threads(function: Callable, items: Sequence, workers: int) -> Iterator:
    """Yields `function(item)` of every item, in order."""
    chunks = [items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        done = pool.map(lambda chunk: [function(item) for item in chunk], chunks)
        yield from itertools.chain.from_iterable(done)


def _progress(total):
    if total < _SHOW_PROGRESS_FROM:
        return lambda number: None
    import keras

    print(f"Checking {total} image files")
    return keras.utils.Progbar(total, unit_name="file").update
