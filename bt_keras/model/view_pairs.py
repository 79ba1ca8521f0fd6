"""Takes views and labels out of what `fit` passes to a step, and checks the shapes."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bt_keras.augmentation import finish_crops
from bt_keras.errors import UsageError
from bt_keras.networks import input_specs
from bt_keras.networks.input_specs import has_graph

_IMAGE_AXES = ("N", "H", "W", "C")


def expected_view(backbone: keras.Model | keras.Layer) -> Any:
    """Returns what a view must be: the inputs of the backbone.

    Args:
        backbone: Built `keras.Model` or layer.

    Returns:
        Nest of `tf.TensorSpec`. The axes of a backbone without a graph may have sizes
        other than those that it was built with. A backbone whose inputs are not known
        has one input.
    """
    specs = input_specs(backbone)
    if specs is None:
        return tf.TensorSpec(None)
    if has_graph(backbone):
        return specs
    return keras.tree.map_structure(
        lambda spec: tf.TensorSpec([None] * spec.shape.rank, spec.dtype), specs
    )


def unpack_element(data: Any, expected: Any) -> tuple[tuple[Any, Any], Any]:
    """Returns the two views and the labels of an element of a dataset.

    Args:
        data: `(view_a, view_b)` or `((view_a, view_b), label)`, each view a tensor or
            a nest of tensors, whose first axis is the batch. A model of several named
            inputs takes a dict by these names, too, as in Keras. `Crops` are finished.
        expected: Nest of `tf.TensorSpec`, see `expected_view`.

    Returns:
        `((view_a, view_b), label)`, each view with the structure of `expected`, the
        label as it is, or `None`.

    Raises:
        UsageError: If `data` is anything else, or the views differ in the size of the
            batch.
    """
    if any(isinstance(each, tf.RaggedTensor) for each in keras.tree.flatten(data)):
        raise UsageError(
            "the views are ragged tensors, which Keras would pad with zeros: pad or "
            "crop the examples to one length, as in dataset.padded_batch."
        )
    data = finish_crops(data)
    views, label = _find_views(data, expected)
    if views is None:
        raise UsageError(
            "the dataset's elements must be (view_a, view_b) or ((view_a, view_b), "
            f"label), each view {_described(expected)}; got {_described(data)}."
        )
    rows = [[t.shape[0] for t in keras.tree.flatten(view)] for view in views]
    if len({*rows[0], *rows[1]} - {None}) > 1:
        counts = [", ".join(map(str, dict.fromkeys(side))) for side in rows]
        raise UsageError(
            "both views must have the same number of examples; got "
            f"{counts[0]} examples in view_a and {counts[1]} in view_b."
        )
    return views, label


def arranged(view: Any, expected: Any) -> Any:
    """Returns a view in the structure of `expected`, or `None` if it does not fit.

    Args:
        view: Nest of tensors or arrays.
        expected: Nest of `tf.TensorSpec`, see `expected_view`.

    Returns:
        Nest of the same tensors, or `None`.
    """
    view = _by_position(view, expected)
    try:
        keras.tree.assert_same_structure(
            *(keras.tree.lists_to_tuples(nest) for nest in (view, expected))
        )
    except (TypeError, ValueError):
        return None
    tensors, specs = keras.tree.flatten(view), keras.tree.flatten(expected)
    fits = all(map(_fits, tensors, specs))
    return keras.tree.pack_sequence_as(expected, tensors) if fits else None


def _find_views(data, expected):
    parts = data if isinstance(data, (tuple, list)) else (data,)
    # `train_on_batch` appends None for a missing label: (view_a, view_b, None).
    parts = [part for part in parts if part is not None]
    # With labels, the views are the first part.
    candidates = [(parts, None)]
    if parts:
        candidates.append((parts[0], parts[1] if parts[1:] else None))
    for pair, label in candidates:
        if isinstance(pair, (tuple, list)) and len(pair) == 2:
            views = [arranged(view, expected) for view in pair]
            if not any(view is None for view in views):
                return tuple(views), label
    return None, None


def _by_position(view, expected):
    """Returns a dict by the names of the inputs in the order of the inputs."""
    specs = keras.tree.flatten(expected)
    if isinstance(expected, dict) or not isinstance(view, dict):
        return view
    if set(view) != {spec.name for spec in specs}:
        return view
    return keras.tree.pack_sequence_as(expected, [view[spec.name] for spec in specs])


def _fits(tensor, spec):
    shape, expected = tf.TensorShape(getattr(tensor, "shape", ())), spec.shape
    if shape.rank == 0:
        return False
    if shape.is_compatible_with(expected):
        return True
    # Keras adds and removes a last axis of one element, as in a column of a table.
    short, long = sorted((shape, expected), key=len)
    return long[-1] == 1 and long[:-1].is_compatible_with(short)


def _described(nest):
    """Formats the shapes of a nest of tensors or specs."""
    if isinstance(nest, dict):
        items = (f"{name!r}: {_described(each)}" for name, each in nest.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(nest, (list, tuple)):
        return f"[{', '.join(map(_described, nest))}]"
    if not hasattr(nest, "shape"):
        return type(nest).__name__
    shape = tf.TensorShape(nest.shape)
    if shape.rank is None:
        return "a tensor"
    if not isinstance(nest, tf.TensorSpec):
        return str(shape)
    names = _IMAGE_AXES if shape.rank == 4 else ("N", *["any"] * (len(shape) - 1))
    axes = zip(names, shape, strict=True)
    sizes = (name if size is None else str(size) for name, size in axes)
    return f"({', '.join(sizes)}{',' if shape.rank == 1 else ''})"
