"""Backbones as TensorFlow Lite files, for phones and small devices."""

import contextlib
import tempfile
import warnings

import numpy as np
import tensorflow as tf

from bt_keras.errors import UsageError, one_line
from bt_keras.export import keras_format, preprocessing
from bt_keras.export.saved_model import FEATURES


def convert(backbone, image_size):
    """Converts a backbone in evaluation mode.

    Args:
        backbone: `keras.Model`, normalised images to features.
        image_size: int > 0, pixels. The size is fixed; the number of images is not
            (`Interpreter.resize_tensor_input`).

    Returns:
        bytes of a `.tflite` file: float32 images (N, image_size, image_size, 3) in
        [0, 1] to float32 features (N, F).

    Raises:
        UsageError: if TensorFlow Lite has no operation for one of the backbone's.
    """
    backbone = keras_format.in_float32(backbone)  # It knows no mixed precision.
    spec = tf.TensorSpec((None, image_size, image_size, 3), name="inputs")

    @tf.function(input_signature=[spec])
    def features(inputs):
        outputs = backbone(preprocessing.normalize(inputs), training=False)
        return {FEATURES: tf.cast(outputs, tf.float32)}

    variables = [v.value for v in backbone.variables]
    with tempfile.TemporaryDirectory(prefix="bt_keras-") as folder, _quietly():
        # Of the function itself the converter would leave the variables unset.
        module = tf.train.Checkpoint(variables=variables)
        tf.saved_model.save(module, folder, {"serving_default": features})
        try:
            return tf.lite.TFLiteConverter.from_saved_model(folder).convert()
        # The converter's own class, and what it raises before it gets that far.
        except Exception as error:
            raise UsageError(
                f"the backbone cannot be converted for TensorFlow Lite: "
                f"{one_line(error)}"
            ) from error


def run(contents, images):
    """Runs a `.tflite` file of `convert`.

    Args:
        contents: bytes.
        images: float32 array (N, H, W, 3) in [0, 1].

    Returns:
        float32 array (N, F).
    """
    with _quietly():
        interpreter = tf.lite.Interpreter(model_content=contents)
    (inputs,), (outputs,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.resize_tensor_input(inputs["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(inputs["index"], images.astype(np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(outputs["index"]).copy()


@contextlib.contextmanager
def _quietly():
    """Without the notice that tf.lite will move to a package of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite")
        yield
