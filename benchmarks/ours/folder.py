"""Prints how long a folder of images takes to start with: a line of JSON.

python -m benchmarks.ours.folder FOLDER [FIRST_STEP BATCH_SIZE]

Without a step: the time of `load`. With a step: until the first batch of view pairs.
"""

import contextlib
import json
import sys
import time

from benchmarks import processes
from bt_keras import views
from bt_keras.data import folder_index, load, pairs

_VIEW_SIZE = 32


def main():
    folder, *rest = sys.argv[1:]
    checked = _count_checks()
    # The harness reads standard output at the end, so the progress bar could fill it.
    with contextlib.redirect_stdout(sys.stderr):
        begin = time.perf_counter()
        if rest:
            step, batch_size = map(int, rest)
            make = views(_VIEW_SIZE, "small")
            next(iter(pairs(folder, make, batch_size, endless=True, first_step=step)))
        else:
            load(folder)
        seconds = time.perf_counter() - begin
    line = {"seconds": seconds, "peak": processes.peak(), "checked": len(checked)}
    print(json.dumps(line))


def _count_checks():
    """Returns a list that gets an entry for each file that is decoded to check it."""
    check, checked = folder_index.check_image, []

    def counted(*args):
        checked.append(None)
        return check(*args)

    folder_index.check_image = counted
    return checked


if __name__ == "__main__":
    main()
