"""How long a folder of many small image files takes to start with.

python -m benchmarks.folder

The first start checks every file by decoding it and keeps the results in a cache
folder, which is a temporary one here. Python's and TensorFlow's imports do not count.
"""

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import children, machine, options, table, turns

_FILES = 100_000
_FILES_QUICK = 3_000
_CLASSES = 100
# Of different sizes, so that images are not all decoded into memory at the start.
_SIDES = (32, 40)
_BATCH_SIZE = 256


def main():
    parser = options.parser(__doc__, rounds=3, peers=False)
    values = options.parse(parser)
    cases = dict(options.select_cases(CASES, values))
    count = _FILES_QUICK if values.quick else _FILES
    machine.describe()
    results = {name: turns.Result(name) for name in cases}
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch) / "images"
        turns.say(f"writing {count} files")
        _write_images(images, count)
        for number in range(values.rounds):
            os.environ["BT_KERAS_CACHE"] = str(Path(scratch) / f"cache{number}")
            for name, measure in cases.items():
                turns.say(name)
                measure(results[name], images, count)
        table.header("files checked", ratio="time / first side's")
        rows = list(results.values())
        table.rows(f"{count:,} JPEG files", rows, table.SECONDS, _checked)


def _write_images(folder, count):
    """Writes JPEG files of 32 x 32 and 40 x 40 pixels into 100 class folders."""
    generator = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class{number % _CLASSES:03}" / f"image{number:06}.jpg"
        if number < _CLASSES:
            path.parent.mkdir(parents=True)
        coarse = generator.integers(0, 256, (4, 4, 3), np.uint8)
        side = _SIDES[number // _CLASSES % 2]
        Image.fromarray(coarse).resize((side, side)).save(path)


def _start(result, images, count, *arguments):
    """Measures one process."""
    with _process(images, *arguments) as child:
        _read(result, child)


def _resume(result, images, count):
    """Measures a resumed run, from the middle of its third epoch."""
    step = 5 * count // _BATCH_SIZE // 2
    _start(result, images, count, str(step), str(_BATCH_SIZE))


def _from_step_0(result, images, count):
    _start(result, images, count, "0", str(_BATCH_SIZE))


def _two_workers(result, images, count):
    """Measures two processes that start at once without any results."""
    cache = os.environ["BT_KERAS_CACHE"]
    os.environ["BT_KERAS_CACHE"] = f"{cache}-two"
    with _process(images) as first, _process(images) as second:
        slower = [turns.Result(result.name) for _ in range(2)]
        for one, child in zip(slower, (first, second), strict=True):
            _read(one, child)
    os.environ["BT_KERAS_CACHE"] = cache
    result.failure = slower[0].failure or slower[1].failure
    if not result.failure:
        result.seconds.append(max(one.seconds[0] for one in slower))
        result.peak = max(result.peak, *(one.peak for one in slower))
        result.extra["checked"] = sum(one.extra["checked"] for one in slower)


@contextlib.contextmanager
def _process(images, *arguments):
    command = [sys.executable, "-m", "benchmarks.ours.folder", str(images), *arguments]
    with children.started(command) as child:
        yield child


def _read(result, child):
    output = child.process.stdout.read()
    result.failure = result.failure or child.failure()
    if not result.failure:
        line = json.loads(output.splitlines()[-1])
        result.seconds.append(line["seconds"])
        result.peak = max(result.peak, line["peak"])
        result.extra["checked"] = line["checked"]
        turns.say(f"{line['seconds']:.4g} s, {line['checked']} files checked")


def _checked(result):
    return f"{result.extra['checked']:,}"


CASES = {
    "first start": _start,
    "second start": _start,
    "first batch from step 0": _from_step_0,
    "first batch of a resumed run": _resume,
    "two workers at once, no results yet, the slower": _two_workers,
}

if __name__ == "__main__":
    main()
