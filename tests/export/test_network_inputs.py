"""Modules of backbones that do not take images."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.export import verify
from bt_keras.hub import HubBackbone, checksums
from tests.conftest import relative_error
from tests.models import mixed_inputs, mixed_pairs


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """`(folder, model, view)`: a module of a nest with strings."""
    folder = tmp_path_factory.mktemp("nest") / "module"
    model = mixed_inputs()
    view = next(iter(mixed_pairs()))[0]
    model.compile("sgd", jit_compile=False)
    model.fit(mixed_pairs(), shuffle=False, verbose=0)
    bt_keras.export_backbone(model, folder, projector=True, examples=view)
    return folder, model, view


@pytest.mark.slow
def test_verification_passes_in_a_process_without_bt_keras(module):
    checks = verify.verify(module[0])
    assert [check for check in checks if not check.passed] == []
    names = {check.name for check in checks}
    assert {"hub.KerasLayer: error", "projector: error"} < names


def test_load_backbone_gives_a_keras_model_that_trains_again(module, tmp_path):
    folder, model, view = module
    loaded = bt_keras.load_backbone(folder, trainable=True)
    np.testing.assert_array_equal(loaded(view), model(view))
    assert loaded.get_layer("batch_normalization") in loaded.layers
    endpoints = bt_keras.load_backbone(folder, return_endpoints=True)(view)
    np.testing.assert_array_equal(endpoints["features"], model(view))
    again = bt_keras.BarlowTwins(loaded, (8,))
    again.compile("sgd", jit_compile=False)
    again.fit(mixed_pairs(), shuffle=False, verbose=0)
    again.save(tmp_path / "again.keras")
    read = keras.models.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(read(view), again(view))
    bt_keras.export_backbone(again, tmp_path / "second")
    second = bt_keras.load_backbone(tmp_path / "second")
    assert relative_error(second(view), loaded(view)) < 1e-6


def test_the_graph_of_the_module_is_a_keras_layer(module, tmp_path):
    folder, model, view = module
    layer = HubBackbone(folder, trainable=True)
    assert relative_error(layer(view), model(view)) < 1e-5
    inputs = model.backbone.input
    classifier = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)))
    classifier.save(tmp_path / "classifier.keras")
    read = keras.models.load_model(tmp_path / "classifier.keras")
    np.testing.assert_array_equal(read(view), classifier(view))


def test_the_python_code_of_the_card_runs(module, monkeypatch):
    folder, model, view = module
    assert checksums.differing(folder) == []
    monkeypatch.chdir(folder.parent)
    series, category = view["nested"]
    tensors = {"row": view["row"], "series": series, "category": category}
    names = {"inputs": {**view, "nested": [series, category]}, "tensors": tensors}
    text = (folder / "README.md").read_text()
    assert "| `series` | (N, any, 2) | float32 |" in text
    assert "image" not in text.split("## License")[0]
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    assert len(blocks) == 5
    for block in blocks:
        exec(compile(block, "card", "exec"), names)
    assert relative_error(names["features"], model(view)) < 1e-5
    served = names["signatures"]["serving_default"](**tensors)["features"]
    assert relative_error(served, model(view)) < 1e-5


@pytest.mark.parametrize(
    "inputs",
    [
        keras.Input((6,)),
        keras.Input((None, 3)),
        keras.Input((5,), dtype="int32"),
        [keras.Input((2,)), keras.Input((2,), dtype="bool")],
    ],
    ids=["row", "series", "integers", "list"],
)
def test_random_examples_of_other_inputs(tmp_path, inputs):
    tensors = keras.tree.flatten(inputs)
    x = keras.layers.Concatenate()(
        [keras.ops.cast(t, "float32") for t in [*tensors] * 2]
    )
    x = keras.layers.Dense(4)(x)
    x = keras.layers.GlobalAveragePooling1D()(x) if len(x.shape) == 3 else x
    backbone = keras.Model(inputs, x)
    bt_keras.export_backbone(backbone, tmp_path / "module")
    loaded = bt_keras.load_backbone(tmp_path / "module")
    examples = keras.tree.map_structure(
        lambda t: np.ones([3, *(size or 20 for size in t.shape[1:])], t.dtype), inputs
    )
    assert relative_error(loaded(examples), backbone(examples)) < 1e-6
    assert isinstance(loaded, keras.Model)


def test_arrays_like_images_are_taken_as_they_are(tmp_path):
    """Spectrograms (N, time, frequency, 1) are not normalized like images."""
    inputs = keras.Input((None, 8, 1))
    x = keras.layers.Conv2D(4, 3, 2)(inputs)
    backbone = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    bt_keras.export_backbone(backbone, tmp_path / "module", normalize=False)
    spectrograms = np.random.default_rng(0).normal(size=(2, 9, 8, 1)).astype("float32")
    expected = backbone(spectrograms)
    loaded = bt_keras.load_backbone(tmp_path / "module")
    assert relative_error(loaded(spectrograms), expected) < 1e-6
    exported = tf.saved_model.load(tmp_path / "module")
    assert relative_error(exported(spectrograms), expected) < 1e-6


def test_a_layer_and_a_subclass_are_exported(tmp_path):
    layer = keras.layers.Dense(4)
    layer.build((None, 3))
    model = bt_keras.BarlowTwins(layer, (8,))
    rows = np.ones((2, 3), "float32")
    bt_keras.export_backbone(model, tmp_path / "module")
    loaded = bt_keras.load_backbone(tmp_path / "module")
    np.testing.assert_allclose(loaded(rows), layer(rows), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"normalize": True}, "normalize=True is for images"),
        ({"image_size": 32}, "image_size cannot be given: the module of the backbone"),
        ({"images": []}, "images cannot be given"),
        ({"examples": np.zeros((4, 3))}, "examples must be arrays"),
        ({"examples": np.zeros((0, 6))}, "examples must be arrays"),
    ],
)
def test_arguments_that_do_not_fit_are_one_line(tmp_path, arguments, message):
    backbone = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    with pytest.raises(bt_keras.UsageError) as error:
        bt_keras.export_backbone(backbone, tmp_path / "module", **arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_random_examples_that_are_too_short_are_one_line(tmp_path):
    inputs = keras.Input((None, 2))
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Conv1D(4, 32)(inputs))
    backbone = keras.Model(inputs, x)
    with pytest.raises(bt_keras.UsageError, match="random examples") as error:
        bt_keras.export_backbone(backbone, tmp_path / "module")
    assert "\n" not in str(error.value)
    series = np.zeros((2, 40, 2), "float32")
    bt_keras.export_backbone(backbone, tmp_path / "module", examples=series)


def test_examples_are_not_for_images(tmp_path):
    backbone = bt_keras.resnet(10, width=1 / 16)
    with pytest.raises(bt_keras.UsageError, match="examples cannot be given"):
        bt_keras.export_backbone(backbone, tmp_path / "m", examples=np.zeros((1, 8)))
