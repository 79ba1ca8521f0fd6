"""The memory of a replica, by part."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from bt_keras.losses import correlation
from bt_keras.losses.column_blocks import column_blocks

_FLOAT = 4  # bytes


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of one replica, by part.

    Attributes:
        weights: Integer, all variables of the model.
        slots: Integer, the variables of the optimizer.
        gradients: Integer, gradients of all trainable weights; twice that with
            micro-batches, which are added up.
        views: Integer, both views of the replica's rows.
        activations: Integer, what the backward pass of both views keeps, of one
            micro-batch.
        passed_back: Integer, gradients of activations: the most at a time.
        loss: Integer, embeddings, their gradients, and the matrices of the loss.
        update: Integer, temporaries of the optimizer.
    """

    weights: int
    slots: int
    gradients: int
    views: int
    activations: int
    passed_back: int
    loss: int
    update: int

    @property
    def total(self) -> int:
        """Bytes at the peak: the weights are updated after the backward pass."""
        backward = self.views + self.activations + self.passed_back + self.loss
        held = self.weights + self.slots + self.gradients
        return held + max(backward, self.update)

    def with_microbatches(self, count: int) -> int:
        """Returns `total` if a batch that is now whole passes in `count` parts."""
        parts = dataclasses.replace(
            self,
            activations=-(-self.activations // count),
            passed_back=-(-self.passed_back // count),
            gradients=2 * self.gradients,
        )
        return parts.total


def of_variables(variables: Sequence[keras.Variable]) -> int:
    """Returns the bytes of variables."""
    return sum(math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in variables)


def of_loss(rows: int, batch: int, width: int, implementation: str | None) -> int:
    """Computes the memory of the loss, forward and backward.

    Both implementations hold both views' embeddings and their gradients in float32. The
    Gram form gathers the rows of all replicas and holds the replica's rows of two N x N
    matrices; the correlation form holds standardized rows, products of the size of the
    embeddings, and a few blocks of columns of the D x D matrix.

    Args:
        rows: Integer, the images n of a replica.
        batch: Integer, the images N of the global batch.
        width: Integer, the width D of the embeddings.
        implementation: `"gram"` or `"correlation"`; `None` for the embeddings and their
            gradients alone.

    Returns:
        Integer, bytes.

    Example:

    >>> from bt_keras.plan import memory
    >>> memory.of_loss(256, 256, 8192, "gram")  # 4 · (4 · 256 · 8192 + 2 · 256²)
    34078720
    """
    embeddings = 2 * rows * width
    if implementation is None:
        return _FLOAT * 2 * embeddings
    if implementation == "gram":
        gathered = 2 * batch * width if batch > rows else 0
        return _FLOAT * (gathered + 2 * embeddings + 2 * rows * batch)
    start, stop = column_blocks(width, width, correlation.BLOCK_BYTES)[0]
    return _FLOAT * (4 * embeddings + 3 * width * (stop - start))


def of_update(variables: Sequence[keras.Variable], replicas: int) -> int:
    """Computes the temporaries of the optimizer.

    They are as large as the variable that is updated, and two variables are updated at
    a time. Several replicas pack all gradients into one tensor, too.

    Args:
        variables: Sequence of `keras.Variable`, the trainable ones.
        replicas: Integer, the number of replicas.

    Returns:
        Integer, bytes.
    """
    sizes = sorted((of_variables([each]) for each in variables), reverse=True)
    packed = sum(sizes) if replicas > 1 else 0
    return packed + 2 * sum(sizes[:2])
