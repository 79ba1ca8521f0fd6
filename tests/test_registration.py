"""`keras.models.load_model` finds the package's classes after `import bt_keras`."""

import sys

import keras
import numpy as np
import pytest

import bt_keras
from tests import processes
from tests.models import tiny

LOAD = """
import sys
{imports}
import numpy as np
assert bt_keras.__version__
model = keras.models.load_model({path!r})
np.save({path!r} + ".npy", model(np.load({path!r} + ".images.npy"), training=False))
"""


def test_importing_the_package_does_not_import_tensorflow(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, bt_keras\n"
        "assert not {'keras', 'tensorflow', 'keras_cv'} & set(sys.modules)\n"
    )
    log = tmp_path / "log"
    processes.finish([processes.start([script], log)], [log])


@pytest.mark.slow  # Starts processes.
@pytest.mark.parametrize(
    "imports",
    [
        "import bt_keras, keras",
        "import keras, bt_keras",
        "import tensorflow, bt_keras, keras",
        "import bt_keras, keras; from bt_keras.losses import barlow_twins_loss",
        "import bt_keras; from bt_keras.networks import resnet; import keras",
        "import bt_keras; bt_keras.resnet; import keras",
    ],
)
def test_files_load_in_a_fresh_process(exported, tmp_path, imports):
    backbone = bt_keras.load_backbone(exported.folder, trainable=True)
    model = keras.Sequential([backbone, keras.layers.Dense(2)])
    path = tmp_path / "model.keras"
    model.save(path)
    np.save(f"{path}.images.npy", exported.images)
    script, log = tmp_path / "script.py", tmp_path / "log"
    script.write_text(LOAD.format(path=str(path), imports=imports))
    processes.finish([processes.start([script], log, cwd=tmp_path)], [log])
    np.testing.assert_allclose(
        np.load(f"{path}.npy"), model(exported.images), rtol=1e-5, atol=1e-6
    )


@pytest.mark.slow  # Starts a process.
def test_trained_models_load_in_a_fresh_process(tmp_path):
    model = tiny()
    schedule = bt_keras.WarmupCosine(0.1, 2, 10)
    model.compile(bt_keras.LARS(schedule))
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    model.fit(images, images, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    np.save(f"{path}.images.npy", images)
    script, log = tmp_path / "script.py", tmp_path / "log"
    script.write_text(LOAD.format(path=str(path), imports="import bt_keras, keras"))
    processes.finish([processes.start([script], log, cwd=tmp_path)], [log])
    np.testing.assert_allclose(
        np.load(f"{path}.npy"), model(images, training=False), rtol=1e-5, atol=1e-6
    )


def test_modules_that_are_being_imported_are_left_alone(monkeypatch):
    module = sys.modules["bt_keras.networks"]
    assert module.__spec__._initializing is False
    imported = []
    monkeypatch.setattr(bt_keras.importlib, "import_module", imported.append)
    monkeypatch.setattr(module.__spec__, "_initializing", True)
    bt_keras._register(keras)
    assert imported == []
    monkeypatch.setattr(module.__spec__, "_initializing", False)
    bt_keras._register(keras)
    assert "bt_keras.hub" in imported
