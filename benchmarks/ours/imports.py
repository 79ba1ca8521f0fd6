"""Prints how long bt_keras takes to import after TensorFlow: seconds, peak in bytes."""

import time

import tensorflow  # noqa: F401  (its own import comes before the clock starts)

from benchmarks import processes

_NAMES = ("BarlowTwins", "LARS", "WarmupCosine", "barlow_twins_loss", "pairs")
_NAMES += ("resnet", "views")


def main():
    begin = time.perf_counter()
    import bt_keras

    # They are imported when first used.
    for name in _NAMES:
        getattr(bt_keras, name)
    print(time.perf_counter() - begin, processes.peak())


if __name__ == "__main__":
    main()
