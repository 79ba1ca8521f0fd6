"""Arrays of features: checks, blocks, and evenly spaced samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bt_keras import checks
from bt_keras.errors import UsageError

# Of a block in float64.
_BLOCK_BYTES = 2**24


def check_rows(name: str, rows: Any, axes: str = "(N, F)", least: int = 2) -> Any:
    """Checks an array of features or embeddings.

    Args:
        name: String, the argument's name for the message.
        rows: Array of numbers, or what NumPy makes one of. A `np.memmap` is not read.
        axes: String, the expected shape for the message. Defaults to `"(N, F)"`.
        least: Integer, the least size of every axis but the last. Defaults to `2`.

    Returns:
        The array.

    Raises:
        UsageError: If it has other axes, too few rows, or no numbers.
    """
    try:
        array = np.asanyarray(rows)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name}={checks.described(rows)} must be an array {axes} of numbers."
        ) from error
    is_number = np.issubdtype(array.dtype, np.number) and array.dtype.kind != "c"
    if array.ndim != axes.count(",") + 1 or not is_number:
        raise UsageError(
            f"{name} must be an array {axes} of numbers; this one has the shape "
            f"{array.shape} and the type {array.dtype}."
        )
    if min(array.shape[:-1]) < least or array.shape[-1] < 1:
        raise UsageError(
            f"{name} has the shape {array.shape}, but {axes} must be at least "
            f"{(least,) * (array.ndim - 1) + (1,)}."
        )
    return array


def blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yields all rows in order, in float64 blocks of about 16 MiB.

    Args:
        rows: Array (N, ...) of numbers, which may be a `np.memmap`.

    Raises:
        UsageError: If a number is NaN or infinite.

    Example:

    >>> from bt_keras.scores.rows import blocks
    >>> [block.dtype.name for block in blocks(np.ones((3, 2), "float16"))]
    ['float64']
    """
    per_row = 8 * max(1, int(np.prod(rows.shape[1:])))
    step = max(1, _BLOCK_BYTES // per_row)
    for start in range(0, len(rows), step):
        block = np.asarray(rows[start : start + step], np.float64)
        if not np.isfinite(block).all():
            bad = np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(1))
            raise UsageError(
                f"row {start + bad[0]} of the features is not finite: scores need "
                "finite numbers."
            )
        yield block


def spaced(rows: np.ndarray, samples: int | None) -> np.ndarray:
    """Takes evenly spaced rows, so that rows sorted by class are sampled equally.

    Args:
        rows: Array (N, ...).
        samples: Optional integer > 0; `None` takes all rows.

    Returns:
        Array of min(N, samples) rows.

    Example:

    >>> from bt_keras.scores.rows import spaced
    >>> spaced(np.arange(10), 4).tolist()
    [0, 2, 5, 7]
    """
    if samples is None or samples >= len(rows):
        return rows
    return rows[np.arange(samples) * len(rows) // samples]


def resolution(array: np.ndarray) -> float:
    """Returns what rounding makes of equal numbers of a type, relative to their size.

    Args:
        array: Array of numbers.

    Example:

    >>> from bt_keras.scores.rows import resolution
    >>> f"{resolution(np.zeros(1, 'float32')):.1e}"
    '4.8e-07'
    """
    is_float = np.issubdtype(array.dtype, np.floating)
    # A few of the smallest steps: networks add rounding errors, and sums in float64 do.
    step = float(np.finfo(array.dtype if is_float else np.float64).eps)
    return max(4 * step, 1e-12)
