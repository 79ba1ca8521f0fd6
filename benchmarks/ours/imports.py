"""Prints the seconds that importing bt_keras takes, and the peak memory in bytes."""

import time

import tensorflow  # noqa: F401  (its import is not measured)

from benchmarks import processes

_NAMES = (
    *("BarlowTwins", "LARS", "WarmupCosine"),
    *("barlow_twins_loss", "pairs", "resnet", "views"),
)


def main():
    begin = time.perf_counter()
    import bt_keras

    # Names are imported on first use.
    for name in _NAMES:
        getattr(bt_keras, name)
    print(time.perf_counter() - begin, processes.peak())


if __name__ == "__main__":
    main()
