"""Modules whose network cannot be rebuilt, or whose graph cannot be read."""

import json
import shutil

import pytest

import bt_keras
from bt_keras.hub import HubBackbone, metadata
from tests.conftest import relative_error


@pytest.fixture
def module(exported, tmp_path):
    """A copy of the module, without checksums: as written by another program."""
    ignore = shutil.ignore_patterns("SHA256SUMS")
    return shutil.copytree(exported.folder, tmp_path / "module", ignore=ignore)


def changed(folder, change):
    """Gives a module another architecture."""
    path = folder / metadata.FOLDER / "bt_keras.json"
    path.write_text(change(path.read_text()))
    return folder


def other_weights(text):
    return text.replace('"filters": 8', '"filters": 6')


def other_features(text):
    assert '"class_name": "ReLU"' in text
    return text.replace('"negative_slope": 0.0', '"negative_slope": 0.5')


def other_variables(text):
    return text.replace('"use_bias": false', '"use_bias": true')


def a_lambda(text):
    return text.replace('"class_name": "ReLU"', '"class_name": "Lambda"')


def damaged(text):
    return text[:-100]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_weights, "do not fit|cannot be rebuilt"),
        (other_variables, "do not fit"),
        (other_features, "other features"),
        (a_lambda, "'Lambda' is unknown, or not safe"),
        (damaged, "no readable"),
    ],
)
def test_the_graph_is_loaded_where_the_network_does_not_fit(
    exported, module, change, reason
):
    folder = changed(module, change)
    with pytest.warns(UserWarning, match=rf"({reason}).*graph is loaded") as warned:
        layer = bt_keras.load_backbone(folder)
    assert type(layer) is HubBackbone
    assert len(warned) == 1
    assert "\n" not in str(warned[0].message)
    assert relative_error(layer(exported.images), exported.features()) < 1e-5


def test_damaged_weights_are_one_line(module):
    for path in (module / "variables").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(bt_keras.UsageError, match="cannot be loaded") as error:
        bt_keras.load_backbone(module)
    assert "\n" not in str(error.value)
    with pytest.raises(bt_keras.UsageError, match="damaged") as error:
        bt_keras.hub.read_backbone(module)
    assert "\n" not in str(error.value)


def test_nothing_of_the_graph_is_needed(exported, module):
    (module / "saved_model.pb").write_bytes(b"damaged")
    backbone = bt_keras.load_backbone(module)
    assert relative_error(backbone(exported.images), exported.features()) < 1e-5


def test_architectures_are_json_of_the_metadata(exported):
    """The tests above replace parts of this text."""
    path = exported.folder / metadata.FOLDER / "bt_keras.json"
    text = path.read_text()
    for change in (other_weights, other_features, other_variables, a_lambda):
        assert json.loads(change(text)) != json.loads(text), change
