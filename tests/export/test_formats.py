"""The single-file formats: `.keras` and `.tflite`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.export import keras_format, tflite_format
from tests import processes
from tests.conftest import relative_error
from tests.exported import MEAN, STD, photographs

# In a process in which bt_keras cannot be imported.
RELOAD = """
import sys
sys.modules["bt_keras"] = None
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
model.compile("sgd", "mse")
model.fit(np.load(sys.argv[2]), np.load(sys.argv[3]) + 1, verbose=0)
"""


def test_keras_loads_the_keras_file_without_bt_keras(exported, tmp_path):
    keras_format.with_keras_layers(exported.model.backbone).save(
        tmp_path / "backbone.keras"
    )
    np.save(tmp_path / "images.npy", exported.images)
    paths = [tmp_path / n for n in ("backbone.keras", "images.npy", "features.npy")]
    process = processes.start(["-c", RELOAD, *paths], tmp_path / "log", cwd=tmp_path)
    processes.finish([process], [tmp_path / "log"])
    features = np.load(paths[-1])
    assert relative_error(features, exported.features()) < 1e-5


def test_tensorflow_lite_gives_the_features_for_any_number_of_images(exported):
    contents = tflite_format.convert(exported.model.backbone, 32)
    for count in (1, 4):
        images = exported.images[:count]
        features = tflite_format.run(contents, images)
        assert relative_error(features, exported.features(images)) < 1e-4


def test_a_mixed_precision_backbone_is_converted():
    keras.config.set_dtype_policy("mixed_bfloat16")
    backbone = bt_keras.resnet(10, width=1 / 16)
    images = photographs().astype("float32") / 255
    contents = tflite_format.convert(backbone, 32)
    keras.config.set_dtype_policy("float32")
    whole = bt_keras.resnet(10, width=1 / 16)
    whole.set_weights(backbone.get_weights())
    expected = whole(((images - MEAN) / STD).astype("float32"), training=False)
    assert relative_error(tflite_format.run(contents, images), expected) < 1e-4


def test_an_unsupported_operation_is_a_one_line_error():
    images = keras.Input((8, 8, 3))
    spectrum = keras.layers.Lambda(
        lambda x: tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64)))
    )(images)
    features = keras.layers.GlobalAveragePooling2D()(spectrum)
    with pytest.raises(bt_keras.UsageError, match="TensorFlow Lite") as error:
        tflite_format.convert(keras.Model(images, features), 8)
    assert "\n" not in str(error.value)
