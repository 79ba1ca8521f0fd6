"""The programs for transfer learning, called with the flags of a user."""

import contextlib
import io
import re
import runpy
import sys

import keras
import numpy as np
import pytest

from tests import processes, tiny

pytestmark = pytest.mark.slow

PROGRAMS = ("finetune_keras.py", "finetune_hub.py")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of dark and light images, one subfolder per class."""
    folder = tmp_path_factory.mktemp("photos")
    return tiny.write_images(folder, per_class=80, size=32) / "train"


@pytest.fixture(scope="module", params=PROGRAMS)
def finished(request, module, photos, tmp_path_factory):
    """`(program, folder, log)` after a program has run."""
    folder = tmp_path_factory.mktemp("finetune")
    flags = [f"--module={module}", f"--images={photos}", "--size=32", "--epochs=20"]
    log = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(log):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [request.param, *flags])
        path = processes.ROOT / "examples" / request.param
        runpy.run_path(str(path), run_name="__main__")
    return request.param, folder, log.getvalue()


def test_the_loss_decreases_and_the_classes_are_separated(finished):
    _, _, log = finished
    epochs = [line for line in log.splitlines() if "val_loss" in line]
    losses = [float(re.search(r"[^_]loss: ([0-9.]+)", line)[1]) for line in epochs]
    assert len(losses) == 20
    assert losses[-1] < losses[0]
    accuracy = float(re.findall(r"val_accuracy: ([0-9.]+)", log)[-1])
    assert accuracy > 0.9


def test_the_saved_model_loads(finished):
    program, folder, _ = finished
    images = np.zeros((2, 32, 32, 3), "float32")
    if program == "finetune_keras.py":
        model = keras.models.load_model(folder / "classifier.keras")
    else:
        import tf_keras

        model = tf_keras.models.load_model(folder / "classifier")
    assert np.asarray(model(images)).shape == (2, 2)
