"""Takes the two views out of what `fit` passes to a step, and checks their shapes."""

from __future__ import annotations

import tensorflow as tf

from bt_keras.errors import UsageError


def unpack_views(data, channels: int | None):
    """Returns the two views of an element of a dataset, with or without labels.

    Args:
        data: `(view_a, view_b)` or `((view_a, view_b), label)`, each view a float
            tensor (N, H, W, C).
        channels: Integer, the number of channels C that the backbone expects, or
            `None`.

    Returns:
        `(view_a, view_b)`.

    Raises:
        UsageError: If `data` is anything else, or the views differ in N.
    """
    parts = data if isinstance(data, (tuple, list)) else (data,)
    # `train_on_batch` appends None for a missing label: (view_a, view_b, None).
    parts = [part for part in parts if part is not None]
    views = parts[0] if isinstance(parts[0], (tuple, list)) else parts
    shapes = [tf.TensorShape(getattr(view, "shape", None)) for view in views]
    expected = tf.TensorShape((None, None, None, channels))
    if len(shapes) != 2 or not all(
        s.rank == 4 and s.is_compatible_with(expected) for s in shapes
    ):
        raise UsageError(
            "the dataset's elements must be (view_a, view_b) or ((view_a, view_b), "
            f"label), each view (N, H, W, {channels or 'C'}); got shapes "
            f"{', '.join(map(str, shapes))}."
        )
    if not shapes[0][:1].is_compatible_with(shapes[1][:1]):
        raise UsageError(
            "both views must show the same images; got "
            f"{shapes[0][0]} images in view_a and {shapes[1][0]} in view_b."
        )
    return views
