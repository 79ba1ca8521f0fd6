import sys

import keras
import numpy as np
import onnxruntime
import pytest

import bt_keras
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.cli import main
from bt_keras.export import onnx_format
from tests.cli.commands import one_error_line
from tests.conftest import relative_error
from tests.exported import MEAN, STD, photographs


def randomized(backbone, seed=0):
    """Gives batch norm of a network other statistics and scales than the initial."""
    rng = np.random.default_rng(seed)
    for variable in backbone.variables:
        if len(variable.shape) == 1:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return backbone


def written(backbone, path, statistics=IMAGENET):
    onnx_format.writer(backbone, 32, statistics)(path)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_a_resnet_exported_by_the_command(tmp_path, capsys):
    backbone = randomized(bt_keras.resnet(18, width=0.25, stem="cifar"))
    backbone.save(tmp_path / "weights.keras")
    out = tmp_path / "backbone.onnx"
    command = ["export", f"--input={tmp_path / 'weights.keras'}", f"--out={out}"]
    command += ["--format=onnx", "--image_size=32"]
    assert main(command) == 0
    assert "differ by at most" in capsys.readouterr().out
    one_error_line(capsys, command, "exists already")
    session = onnxruntime.InferenceSession(out)
    (inputs,), (outputs,) = session.get_inputs(), session.get_outputs()
    assert (inputs.name, inputs.shape) == ("inputs", ["N", "H", "W", 3])
    assert (outputs.name, outputs.shape) == ("features", ["N", 128])
    for count, side in ((1, 32), (4, 32), (3, 41)):
        images = photographs(count, side).astype("float32") / 255
        expected = backbone(((images - MEAN) / STD).astype("float32"), training=False)
        (features,) = session.run(None, {"inputs": images})
        assert relative_error(features, expected) < 1e-4


def test_another_network_of_five_bands(tmp_path):
    images = keras.Input((16, 24, 5))
    x = keras.layers.SeparableConv2D(8, 3, 2, padding="same", activation="swish")(
        images
    )
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    backbone = keras.Model(images, keras.layers.Dense(4, activation="tanh")(x))
    mean, deviation = np.linspace(0.1, 0.9, 5), np.linspace(0.2, 0.4, 5)
    session = written(
        backbone, tmp_path / "b.onnx", Statistics(tuple(mean), tuple(deviation))
    )
    assert session.get_inputs()[0].shape == ["N", 16, 24, 5]
    values = np.random.default_rng(0).random((3, 16, 24, 5), np.float32)
    expected = backbone(((values - mean) / deviation).astype("float32"))
    (features,) = session.run(["features"], {"inputs": values})
    assert relative_error(features, expected) < 1e-4


def test_a_mixed_precision_backbone_is_written_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    backbone = randomized(bt_keras.resnet(10, width=1 / 16))
    keras.config.set_dtype_policy("float32")
    whole = bt_keras.resnet(10, width=1 / 16)
    whole.set_weights(backbone.get_weights())
    images = photographs().astype("float32") / 255
    session = written(backbone, tmp_path / "b.onnx")
    expected = whole(((images - MEAN) / STD).astype("float32"), training=False)
    assert relative_error(session.run(None, {"inputs": images})[0], expected) < 1e-4


@pytest.mark.parametrize("name", ["onnx", "keras", "tflite"])
def test_a_file_of_a_mixed_precision_network_is_exported(name, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    backbone = randomized(bt_keras.resnet(10, width=1 / 16, input_shape=(32, 32, 3)))
    backbone.save(tmp_path / "mixed.keras")
    keras.config.set_dtype_policy("float32")
    command = ["export", f"--input={tmp_path / 'mixed.keras'}", f"--format={name}"]
    assert main([*command, f"--out={tmp_path / f'b.{name}'}"]) == 0


def test_an_operation_that_tf2onnx_does_not_know_is_named():
    images = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(images)
    backbone = keras.Model(images, keras.layers.Dense(4, activation="gelu")(x))
    with pytest.raises(bt_keras.UsageError, match=r"'Erfc' of the backbone.*--format"):
        onnx_format.writer(backbone, 8, IMAGENET)


@pytest.mark.parametrize(
    ("name", "module", "package", "file"),
    [
        ("onnx", "tf2onnx", "tf2onnx", "backbone.onnx"),
        ("onnx", "onnxruntime", "onnxruntime", "backbone.onnx"),
        ("keras_hub", "keras_hub", "keras-hub", "preset"),
    ],
)
def test_a_missing_package_is_one_line(
    tmp_path, capsys, monkeypatch, name, module, package, file
):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "weights.keras").write_bytes(b"")
    command = ["export", f"--input={tmp_path / 'weights.keras'}", f"--format={name}"]
    parts = [
        f"--format={name} needs {package}",
        f"'bt-keras[{name.replace('_', '-')}]'",
    ]
    one_error_line(capsys, [*command, f"--out={tmp_path / file}"], *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.keras"]
