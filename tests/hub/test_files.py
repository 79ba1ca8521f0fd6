"""The formats that are one file: `.keras` and `.tflite`."""

import numpy as np

from bt_keras.hub import keras_file, tflite_file
from tests import processes
from tests.conftest import relative_error

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


def test_keras_alone_loads_the_keras_file(exported, tmp_path):
    keras_file.portable(exported.model.backbone).save(tmp_path / "backbone.keras")
    np.save(tmp_path / "images.npy", exported.images)
    paths = [tmp_path / n for n in ("backbone.keras", "images.npy", "features.npy")]
    process = processes.start(["-c", RELOAD, *paths], tmp_path / "log", cwd=tmp_path)
    processes.finish([process], [tmp_path / "log"])
    features = np.load(paths[-1])
    assert relative_error(features, exported.features()) < 1e-5


def test_tensorflow_lite_gives_the_same_for_any_number(exported):
    contents = tflite_file.convert(exported.model.backbone, 32)
    for count in (1, 4):
        images = exported.images[:count]
        features = tflite_file.run(contents, images)
        assert relative_error(features, exported.features(images)) < 1e-4
