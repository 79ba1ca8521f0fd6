"""Work on wide matrices a block of columns at a time."""

import tensorflow as tf

# Beyond so many blocks the graph grows for nothing.
MAX_BLOCKS = 32


def column_blocks(rows, width, block_bytes):
    """Cuts `width` columns of float32 into blocks.

    Args:
        rows: int, the height of a column, or None where it is not known.
        width: int, how many columns there are.
        block_bytes: int, what a block should take.

    Returns:
        list of `(start, stop)`.
    """
    size = max(block_bytes // (4 * (rows or 256)), -(-width // MAX_BLOCKS), 1)
    return [(start, min(start + size, width)) for start in range(0, width, size)]


def columns(block, *matrices, after=()):
    """Takes a block's columns out of each matrix.

    Args:
        block: `(start, stop)`.
        *matrices: Tensors (n, D).
        after: Tensors to wait for. A graph would otherwise start all blocks at once
            and hold the temporaries of all of them.

    Returns:
        list of Tensors (n, stop - start).
    """
    start, stop = block
    with tf.control_dependencies(after):
        return [
            m if (start, stop) == (0, m.shape[1]) else m[:, start:stop]
            for m in matrices
        ]
