"""How large a matrix product a side can be asked for."""

import time

from benchmarks import side

_PROBE = 1024
_SLOW = 10.0  # seconds


def work(case, product):
    """Makes the `side.Work` of a square matrix product.

    Args:
        case: dict of `precision` and `size`. Where bfloat16 is emulated a large
            product can take minutes; a smaller one is then taken.
        product: function of (size, precision) that returns the function to measure.
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
    return side.Work(start=lambda: step, facts={"size": size})
