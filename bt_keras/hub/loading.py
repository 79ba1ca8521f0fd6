"""Exported backbones as Keras 3 layers."""

import tarfile
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from bt_keras.errors import UsageError

_INTERFACE = ("variables", "trainable_variables", "regularization_losses")


@keras.saving.register_keras_serializable("bt_keras")
class HubBackbone(keras.layers.Layer):
    """An exported backbone as a Keras 3 layer; made by `load_backbone`.

    Unlike `keras.layers.TFSMLayer` it passes `training` on, so that batch norm works
    as it should in fine-tuning.

    Args:
        handle: str, as `load_backbone` takes it. It is what `get_config` keeps, so
            that a saved model finds the module again.
        **kwargs: of `keras.layers.Layer` (`name`, `trainable`).

    Input: float Tensor (N, H, W, 3) in [0, 1]. Output: float32 features (N, F).
    """

    def __init__(self, handle, **kwargs):
        super().__init__(**kwargs)
        self.handle = str(handle)
        self._loaded = tf.saved_model.load(_resolve(self.handle))
        missing = [n for n in _INTERFACE if not hasattr(self._loaded, n)]
        if missing or not callable(self._loaded):
            raise UsageError(
                f"{handle} is a SavedModel, but not one to train further: it has no "
                f"{', '.join(missing) or '__call__'}."
            )
        trainable = {id(v) for v in self._loaded.trainable_variables}
        for index, value in enumerate(self._loaded.variables):
            self._adopt(value, id(value) in trainable, f"variable_{index}")
        self._build_at_init()

    def _adopt(self, value, trainable, name):
        """Makes a `keras.Variable` of a loaded `tf.Variable`, without a copy."""
        variable = keras.Variable(
            initializer=value,
            shape=value.shape,
            dtype=value.dtype,
            trainable=trainable,
            name=name,
        )
        self._track_variable(variable)

    def call(self, inputs, training=False):
        inputs = tf.cast(inputs, tf.float32)
        return self._loaded(inputs, training=bool(training and self.trainable))

    def get_config(self):
        return {**super().get_config(), "handle": self.handle}


def load_backbone(handle, trainable=False):
    """Loads an exported backbone as a Keras 3 layer.

    Args:
        handle: str or path: a SavedModel folder, a `.tar.gz` of one, or a TensorFlow
            Hub handle (a URL), which is downloaded once and cached.
        trainable: bool, whether `fit` changes its weights. If False it stays in
            evaluation mode too.

    Returns:
        A `keras.Layer`: images (N, H, W, 3) in [0, 1] to features (N, F), float32.

    Raises:
        UsageError: if there is no such module, or it cannot be trained further.

    Example:

    >>> backbone = bt_keras.load_backbone("runs/cifar10/module", trainable=True)
    >>> classifier = keras.Sequential([backbone, keras.layers.Dense(10)])
    """
    return HubBackbone(handle, trainable=trainable)


def _resolve(handle):
    """Returns the folder of a handle's SavedModel."""
    import tensorflow_hub as hub  # Here, since it costs a second to import.

    try:
        if handle.endswith((".tar.gz", ".tgz")) and Path(handle).is_file():
            return _unpacked(handle)
        folder = hub.resolve(handle)
    except (OSError, ValueError, RuntimeError, tarfile.TarError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"module {handle} cannot be loaded: {reason}") from error
    if not tf.saved_model.contains_saved_model(folder):
        raise UsageError(
            f"module {handle} cannot be loaded: {folder} holds no saved_model.pb."
        )
    return folder


def _unpacked(archive):
    folder = tempfile.mkdtemp(prefix="bt_keras-module-")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder
