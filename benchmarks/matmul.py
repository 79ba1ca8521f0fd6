"""Chooses the size of the matrix product to measure."""

import time

from benchmarks import side

_PROBE = 1024
_SLOW = 10.0  # seconds


def work(case, product):
    """Returns the `side.Work` of a square matrix product.

    With emulated bfloat16, a large product can take minutes. A smaller one is measured
    if the large one would take more than 10 seconds.

    Args:
        case: Dict with `precision` and `size`.
        product: Function of (size, precision) that returns the function to measure.
    """
    size, precision = case["size"], case["precision"]
    if size > _PROBE:
        probe = product(_PROBE, precision)
        probe()
        begin = time.perf_counter()
        probe()
        expected = (time.perf_counter() - begin) * (size / _PROBE) ** 3
        size = _PROBE if expected > _SLOW else size
    step = product(size, precision)
    return side.Work(start=lambda: step, extra={"size": size})
