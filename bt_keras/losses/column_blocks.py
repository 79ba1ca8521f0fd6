"""Processes wide matrices in blocks of columns."""

from __future__ import annotations

import tensorflow as tf

from bt_keras.distribution import devices

# For a GPU or TPU: large enough to hide the time to launch a kernel, small enough that
# a few blocks fit into its memory beside the embeddings.
ACCELERATOR_BLOCK_BYTES = 2**28
# More blocks only enlarge the graph.
MAX_BLOCKS = 32


def column_blocks(
    rows: int | None, width: int, block_bytes: int
) -> list[tuple[int, int]]:
    """Divides the columns of a float32 matrix into blocks.

    Args:
        rows: Integer, the number of rows, or `None` if unknown.
        width: Integer, the number of columns.
        block_bytes: Integer, the approximate size of a block in bytes on a CPU; on a
            GPU or TPU it is `ACCELERATOR_BLOCK_BYTES`.

    Returns:
        List of at most `MAX_BLOCKS` tuples `(start, stop)`.
    """
    if devices.is_accelerated():
        block_bytes = ACCELERATOR_BLOCK_BYTES
    size = max(block_bytes // (4 * (rows or 256)), -(-width // MAX_BLOCKS), 1)
    return [(start, min(start + size, width)) for start in range(0, width, size)]


def columns(
    block: tuple[int, int], *matrices: tf.Tensor, after: tuple = ()
) -> list[tf.Tensor]:
    """Slices a block of columns out of each matrix.

    Args:
        block: Tuple `(start, stop)`.
        *matrices: Tensors (n, D).
        after: Tensors that are computed first. Without this dependency a graph would
            run all blocks at once and hold the temporaries of all of them. Defaults to
            `()`.

    Returns:
        List of tensors (n, stop - start).
    """
    start, stop = block
    with tf.control_dependencies(after):
        return [
            m if (start, stop) == (0, m.shape[1]) else m[:, start:stop]
            for m in matrices
        ]
