"""A run whose network has a name, from pretraining to the loaded module."""

import sys

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras.checkpoint import save_restore
from bt_keras.cli import main
from tests.cli.commands import one_error_line, rows

CODE = """
import keras


@keras.saving.register_keras_serializable("mine")
class Scale(keras.layers.Layer):
    def call(self, images):
        return 2.0 * images


def network(input_shape, widths=(4,)):
    images = keras.Input(input_shape)
    x = Scale()(images)
    for width in widths:
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return keras.Model(images, x)
"""


@pytest.fixture(scope="module")
def arguments(recipe, tmp_path_factory):
    """The command for a network of the current folder."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "named_networks.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        yield [
            "pretrain",
            f"--config={recipe}",
            "--config.backbone.name=named_networks.network",
            "--config.backbone.options.widths=(4, 6)",
            "--config.precision=mixed_bfloat16",
        ]


def test_resumed_evaluated_exported_and_loaded(arguments, tmp_path, capsys):
    workdir, module = tmp_path / "run", tmp_path / "module"
    newest = workdir / "checkpoints" / "epoch-0002.keras"
    assert main([*arguments, f"--workdir={workdir}"]) == 0
    weights = save_restore.load(newest).get_weights()
    newest.unlink()
    assert main(["pretrain", f"--workdir={workdir}"]) == 0
    assert "resuming after step 2" in capsys.readouterr().out
    resumed = save_restore.load(newest).get_weights()
    for one, two in zip(weights, resumed, strict=True):
        np.testing.assert_array_equal(one, two)
    assert main(["evaluate", f"--workdir={workdir}", "--protocol=cached"]) == 0
    assert rows(workdir / "results.csv")
    assert main(["export", f"--workdir={workdir}", f"--out={module}"]) == 0
    assert "checks passed" in capsys.readouterr().out
    card = (module / "README.md").read_text()
    assert "| backbone | `named_networks.network`, widths `[4, 6]` |" in card
    loaded = bt_keras.load_backbone(module, trainable=True)
    assert isinstance(loaded, keras.Model)
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype("float32")
    assert loaded(images).shape == (2, 6)


@pytest.mark.parametrize(
    ("flag", "parts"),
    [
        ("--config.backbone.name=named_networks.netwrok", ["named_networks.network"]),
        ("--config.backbone.options.depth=3", ["TypeError", "depth"]),
        ("--config.backbone.options.widths=", ["options.widths is empty"]),
        (
            "--config.backbone.name=resnet",
            ["options.widths", "depth, width, stem and features"],
        ),
        (
            "--config.backbone.features=8",
            ["config.backbone.features=8 is for", "named_networks.network"],
        ),
    ],
)
def test_bad_names_and_options_create_no_workdir(
    arguments, tmp_path, capsys, flag, parts
):
    field = flag.partition("=")[0]
    # On some CPUs, bfloat16 has a warning of its own.
    left_out = (field, "--config.precision")
    others = [a for a in arguments if not a.startswith(left_out)]
    one_error_line(capsys, [*others, f"--workdir={tmp_path / 'run'}", flag], *parts)
    assert not (tmp_path / "run").exists()
