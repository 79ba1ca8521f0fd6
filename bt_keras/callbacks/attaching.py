"""What the callbacks of this room share: the model that they accept."""

from __future__ import annotations

import keras

from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins


def check_model(callback: keras.callbacks.Callback, model: keras.Model) -> None:
    """Checks that a callback is in the `fit` of a model that it understands.

    Args:
        callback: `keras.callbacks.Callback`, named in the message.
        model: `keras.Model` that `fit` passes to `set_model`.

    Raises:
        UsageError: If it is not a `bt_keras.BarlowTwins`.
    """
    if not isinstance(model, BarlowTwins):
        raise UsageError(
            f"{type(callback).__name__} works in the fit of a bt_keras.BarlowTwins; "
            f"this model is a {type(model).__name__}."
        )
