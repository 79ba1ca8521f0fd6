"""The environment variables that all commands run with."""

from __future__ import annotations

import os
import sys

from bt_keras import keras_backend


def prepare() -> None:
    """Makes Keras use TensorFlow and its own defaults, whatever the user has set.

    Raises:
        UsageError: If Keras is imported already, with another backend.
    """
    os.environ["KERAS_BACKEND"] = keras_backend.NAME
    if "keras" not in sys.modules:
        # A keras.json may set another type of floats or another order of dimensions.
        # Keras neither reads nor writes one in the null device.
        os.environ["KERAS_HOME"] = os.devnull
    keras_backend.check()
