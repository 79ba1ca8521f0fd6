import json

import pytest

import bt_keras
from bt_keras.hub import metadata
from bt_keras.hub.metadata import ModuleMetadata

REQUIRED = {
    "architecture": None,
    "input_shape": [None, 8, 8, 3],
    "feature_dim": 4,
    "strides": [4, 8],
    "embedding_dim": None,
    "variables": 5,
    "trainable_variables": 3,
    "statistics": 2,
    "regularization_losses": 0,
    "stored_arrays": 5,
    "signatures": ["serving_default"],
}


def test_json_has_all_required_fields_and_the_optional_ones_that_are_set():
    described = ModuleMetadata(**REQUIRED, steps=7)
    fields = json.loads(described.to_json())
    assert fields.keys() == {*REQUIRED, "name", "versions", "steps"}
    assert ModuleMetadata.from_json(described.to_json()) == described


def test_modules_of_other_versions_may_lack_or_add_optional_fields():
    described = ModuleMetadata.from_json(json.dumps({**REQUIRED, "later": 1}))
    assert described == ModuleMetadata(**REQUIRED)
    assert (described.license, described.config) == (None, None)


@pytest.mark.parametrize("name", REQUIRED)
def test_required_fields(name):
    fields = {key: value for key, value in REQUIRED.items() if key != name}
    with pytest.raises(ValueError, match="fields are missing"):
        ModuleMetadata.from_json(json.dumps(fields))


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "\0", "null"])
def test_errors_name_the_module(tmp_path, text):
    if text is not None:
        (tmp_path / metadata.FOLDER).mkdir()
        (tmp_path / metadata.FOLDER / "bt_keras.json").write_text(text)
    with pytest.raises(bt_keras.UsageError, match="module theirs was not exported"):
        metadata.read(tmp_path, "theirs")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", 3),
        ("architecture", "x"),
        ("image_size", "huge"),
        ("image_size", 0),
        ("image_size", True),
        ("resize_ratio", 0.5),
        ("resize_ratio", float("inf")),
        ("input_shape", [None, "8", 8, 3]),
        ("input_shape", [3]),
        ("feature_dim", 4.5),
        ("strides", [4, "8"]),
        ("strides", 4),
        ("variables", None),
        ("signatures", [3]),
        ("versions", []),
        ("config", "x"),
        ("results", {}),
        ("license", 3),
    ],
)
def test_values_of_another_type_name_the_field(tmp_path, name, value):
    (tmp_path / metadata.FOLDER).mkdir()
    text = json.dumps({**REQUIRED, name: value})
    (tmp_path / metadata.FOLDER / "bt_keras.json").write_text(text)
    with pytest.raises(
        bt_keras.UsageError, match=rf"module theirs.*{name} is "
    ) as error:
        metadata.read(tmp_path, "theirs")
    assert "\n" not in str(error.value)
