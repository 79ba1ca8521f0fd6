"""Features of the images of a split, in memory or in a file, and blocks of them."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from bt_keras.files.npy_rows import RowsReader

# Of a block that is read at once. The temporary arrays of larger blocks are slower.
_BLOCK_BYTES = 2**23


@dataclasses.dataclass(frozen=True)
class Features:
    """The features of one split.

    Args:
        features: float32 or float16 array (N, F), computed in evaluation mode. It may
            be a `np.memmap` of a file that is larger than the memory, and cannot be
            written then.
        labels: int64 array (N,), -1 without labels.
        file: Optional `RowsReader` of the file that holds `features`. Defaults to
            `None`.

    Example:

    >>> from bt_keras.evaluation.features import Features
    >>> split = Features(np.array([[1.0], [2.0], [6.0]], "float32"), np.arange(3))
    >>> [len(block) for block in split.blocks(rows=2)]
    [2, 1]
    >>> mean, deviation = split.moments
    >>> mean
    array([3.])
    """

    features: np.ndarray
    labels: np.ndarray
    file: RowsReader | None = None

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns the features of a range of images as a float32 array."""
        read = (
            self.file.read if self.file else lambda *ends: self.features[slice(*ends)]
        )
        return read(start, stop).astype(np.float32, copy=False)

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Reads the features of images from `start` into a float32 array (M, F)."""
        if self.file and self.features.dtype == out.dtype:
            self.file.read_into(start, out)
        else:
            out[:] = self.read(start, start + len(out))

    def blocks(self, rows: int | None = None) -> Iterator[np.ndarray]:
        """Reads all features in order; a thread reads the next block in advance.

        Args:
            rows: Integer > 0, rows of a block. Defaults to `None`: 8 MiB of them.

        Yields:
            float32 array (M, F), M = `rows` except at the end.
        """
        count, width = self.features.shape
        rows = rows or max(1, _BLOCK_BYTES // (4 * width))
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            following = thread.submit(self.read, 0, rows)
            for start in range(rows, count + rows, rows):
                block = following.result()
                if start < count:
                    following = thread.submit(self.read, start, start + rows)
                yield block

    @functools.cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of every feature, float64 arrays (F,).

        The blocks' means and sums of squares are joined as by Chan et al., which does
        not subtract large numbers.
        """
        count, mean, squares = 0, 0.0, 0.0
        for block in self.blocks():
            block_mean = block.mean(axis=0, dtype=np.float64)
            distance, total = block_mean - mean, count + len(block)
            squares = squares + np.square(block - block_mean).sum(axis=0)
            squares = squares + np.square(distance) * (count * len(block) / total)
            mean = mean + distance * (len(block) / total)
            count = total
        return np.asarray(mean), np.sqrt(squares / count)
