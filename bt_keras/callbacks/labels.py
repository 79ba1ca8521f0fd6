"""Labels for a classifier: checks of what `fit` or the user passes."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.errors import UsageError

_ADVICE = (
    "the elements of the dataset must be ((view_a, view_b), label), such as those of "
    "bt_keras.pairs(..., labels=True)"
)


def as_integers(labels: Any, owner: str) -> tf.Tensor:
    """Returns labels as an int64 tensor (n,); it may be called in a graph.

    Args:
        labels: What an element of a dataset has after the views, or `None`.
        owner: String, the callback that needs them, for the message.

    Returns:
        int64 tensor (n,). In a graph, -1 stands for a float that is no whole number.

    Raises:
        UsageError: If there are no labels, or they are not one whole number for each
            example.

    Example:

    >>> from bt_keras.callbacks.labels import as_integers
    >>> as_integers(np.array([[3.0], [1.0]]), "OnlineLinearProbe").numpy()
    array([3, 1])
    """
    if labels is None:
        raise UsageError(f"{owner} needs labels, but there are none: {_ADVICE}.")
    if keras.tree.is_nested(labels) and not isinstance(labels, (list, tuple)):
        raise UsageError(f"{owner} needs one label for each example, not a dict.")
    try:
        labels = tf.convert_to_tensor(labels)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{owner} needs one number for each example as labels."
        ) from error
    is_column = labels.shape.rank == 2 and labels.shape[1] == 1
    if not (labels.shape.rank == 1 or is_column):
        raise UsageError(
            f"{owner} needs labels of shape (n,), the numbers of the classes, not of "
            f"{labels.shape}: of one-hot vectors, take keras.ops.argmax(labels, -1)."
        )
    if not (labels.dtype.is_integer or labels.dtype.is_floating):
        raise UsageError(
            f"{owner} needs the numbers of the classes as labels, not "
            f"{labels.dtype.name}."
        )
    labels = tf.reshape(labels, [-1])
    integers = tf.cast(labels, tf.int64)
    if not labels.dtype.is_floating:
        return integers
    is_whole = tf.equal(labels, tf.floor(labels))
    if tf.executing_eagerly() and not tf.reduce_all(is_whole):
        raise UsageError(
            f"{owner} needs whole numbers as labels, the numbers of the classes."
        )
    return tf.where(is_whole, integers, -1)


def out_of_range(owner: str, num_classes: int) -> UsageError:
    """Returns the error for labels outside of [0, num_classes).

    Args:
        owner: String, as for `as_integers`.
        num_classes: Integer.
    """
    return UsageError(
        f"{owner} has num_classes={checks.described(num_classes)}, but a label lies "
        f"outside of [0, {num_classes}), or is no whole number."
    )
