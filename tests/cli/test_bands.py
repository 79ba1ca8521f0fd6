"""A run on images of five bands: pretrain, evaluate, export and load by commands."""

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import config as config_lib
from bt_keras.cli import main
from bt_keras.data import load, measure
from tests import tiny
from tests.cli.commands import one_error_line
from tests.data import band_files

WRITE = {
    "npy": lambda path, levels: np.save(path, levels),
    "tif": lambda path, levels: path.write_bytes(band_files.pages(levels)),
}


@pytest.fixture(params=[pytest.param("npy", marks=pytest.mark.slow), "tif"])
def flags(request, tmp_path):
    """The flags of a run on five-band versions of real image files."""
    source = tiny.write_images(tmp_path / "rgb", per_class=12)
    for path in sorted(source.rglob("*.png")):
        image = tf.io.decode_png(path.read_bytes()).numpy()
        levels = np.concatenate([image, np.roll(image, 3, axis=1)[..., :2] // 2], -1)
        target = tmp_path / "images" / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        WRITE[request.param](target.with_suffix(f".{request.param}"), levels)
    config = tiny.write_config(tmp_path / "config.py", tmp_path / "images")
    return ["--config", str(config), f"--workdir={tmp_path / 'run'}"]


def test_from_files_to_a_loaded_module(flags, tmp_path, capsys):
    bands = ["--config.data.channels=5", "--config.data.statistics=measured"]
    four = [*bands, "--config.data.channels=4"][1:]
    one_error_line(capsys, ["pretrain", *flags, *four], "has 5 bands, not 4")
    one_error_line(capsys, ["pretrain", *flags, bands[0]], "mean has 3 numbers")
    assert not (tmp_path / "run").exists()
    assert main(["pretrain", *flags, *bands]) == 0
    assert tf.io.decode_png((tmp_path / "run/views.png").read_bytes()).shape[2] == 3
    # The same command finds the run finished.
    assert main(["pretrain", *flags, *bands]) == 0
    assert capsys.readouterr().out.count("measuring") == 1
    assert main(["evaluate", f"--workdir={tmp_path / 'run'}"]) == 0
    module = tmp_path / "module"
    assert main(["export", f"--workdir={tmp_path / 'run'}", f"--out={module}"]) == 0
    assert "FAILED" not in capsys.readouterr().out
    source = str(tmp_path / "images")
    assert main(["evaluate", f"--module={module}", f"--source={source}"]) == 0
    shipped = ["evaluate", f"--module={module}", "--source=shipped"]
    one_error_line(capsys, shipped, "images (H, W, 1), not (H, W, 5)")
    text = (tmp_path / "run" / "config.json").read_text()
    run = config_lib.from_json(text)
    expected = measure(load(source, channels=5))
    np.testing.assert_array_equal([run.data.mean, run.data.deviation], expected)
    loaded = bt_keras.load_backbone(module)
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 5)).astype("float32")
    served = tf.saved_model.load(module)(images)
    np.testing.assert_allclose(loaded(images), served, rtol=1e-4, atol=1e-6)
    for kind in ("keras", "tflite"):
        out = tmp_path / f"backbone.{kind}"
        arguments = [f"--workdir={tmp_path / 'run'}", f"--out={out}"]
        assert main(["export", *arguments, f"--format={kind}"]) == 0
