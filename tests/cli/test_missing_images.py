"""Runs whose training images are gone."""

import json

import numpy as np
import pytest

from bt_keras.cli import main
from tests.cli.commands import one_error_line


@pytest.fixture
def without_images(copied):
    path = copied / "config.json"
    config = json.loads(path.read_text())
    config["data"]["source"] = str(copied / "gone")
    path.write_text(json.dumps(config))
    return copied


@pytest.mark.parametrize("kind", ["savedmodel", "keras", "tflite"])
def test_the_run_is_exported_with_noise(without_images, capsys, caplog, kind):
    command = ["export", f"--workdir={without_images}", f"--format={kind}"]
    assert main(command) == 0
    (message,) = caplog.messages
    assert "random noise instead" in message
    assert str(without_images / "gone") in message
    if kind == "savedmodel":
        assert "checks passed" in capsys.readouterr().out
        with np.load(without_images / "module/assets.extra/sample.npz") as file:
            assert len(np.unique(file["images"])) > 200


def test_the_evaluation_names_them(without_images, capsys):
    command = ["evaluate", f"--workdir={without_images}"]
    one_error_line(capsys, command, str(without_images / "gone"))
