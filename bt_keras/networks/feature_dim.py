"""The width of a backbone's features."""

import keras

from bt_keras.errors import UsageError


def feature_dim(backbone):
    """Finds the width of a backbone's features without running it.

    Args:
        backbone: a built `keras.Model` or layer, images to features (N, F).

    Returns:
        int, F.

    Raises:
        UsageError: if it is not built, or gives something else than (N, F).
    """
    shape = _output_shape(backbone) if backbone.built else None
    if shape is None:
        raise UsageError(
            f"the backbone {backbone.name!r} is not built: call it on a batch of "
            "images first, or give it an Input of its own, such as "
            "keras.Sequential([keras.Input((32, 32, 3)), backbone])."
        )
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise UsageError(
            f"the backbone {backbone.name!r} gives {shape}, but it must give "
            "features (N, F): add keras.layers.GlobalAveragePooling2D() or "
            'pooling="avg".'
        )
    return shape[1]


def _output_shape(backbone):
    try:
        return backbone.output_shape
    except AttributeError:  # A subclass of keras.Model: let Keras trace its call.
        images = keras.KerasTensor((None, 64, 64, 3))
        return tuple(backbone.compute_output_spec(images).shape)
