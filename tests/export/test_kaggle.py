import json

import kagglehub
import pytest

import bt_keras
from bt_keras.export import kaggle

HANDLE = "somebody/barlow-twins/tensorFlow2/small"


@pytest.fixture(scope="module")
def licensed(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("licensed") / "module"
    about = {"license": "Apache-2.0"}
    bt_keras.export_backbone(exported.model, folder, image_size=32, about=about)
    return folder


@pytest.fixture
def variation(licensed, tmp_path):
    return kaggle.lay_out(licensed, HANDLE, tmp_path / "publication")


def test_the_folder_is_what_kaggle_models_takes(licensed, variation, tmp_path):
    assert variation == tmp_path / "publication" / "tensorFlow2" / "small"
    model = json.loads((tmp_path / "publication/model-metadata.json").read_text())
    assert (model["ownerSlug"], model["slug"]) == ("somebody", "barlow-twins")
    assert model["description"] == (licensed / "README.md").read_text()
    assert model["isPrivate"] is True
    instance = json.loads((variation / "model-instance-metadata.json").read_text())
    assert instance["framework"] == "tensorFlow2"
    assert instance["instanceSlug"] == "small"
    assert instance["licenseName"] == "Apache 2.0"
    assert (variation / "saved_model.pb").is_file()


def test_the_same_is_laid_out_anew_and_other_things_are_left(licensed, tmp_path):
    target = tmp_path / "publication"
    kaggle.lay_out(licensed, HANDLE, target)
    kaggle.lay_out(licensed, HANDLE, target)
    with pytest.raises(bt_keras.UsageError, match="not empty"):
        kaggle.lay_out(licensed, HANDLE.replace("somebody", "other"), target)
    with pytest.raises(bt_keras.UsageError, match="not empty"):
        kaggle.lay_out(licensed, HANDLE.replace("small", "large"), target)
    assert (target / "tensorFlow2" / "small" / "saved_model.pb").is_file()


def test_what_is_listed_is_what_the_module_holds(licensed, variation):
    files = {name: size for name, size in kaggle.listing(variation)}
    expected = {
        path.relative_to(licensed).as_posix(): path.stat().st_size
        for path in licensed.rglob("*")
        if path.is_file()
    }
    assert files == expected


def test_kagglehub_is_asked_to_send_it(variation, monkeypatch):
    sent = []
    monkeypatch.setattr(
        kagglehub, "model_upload", lambda *args, **kwargs: sent.append((args, kwargs))
    )
    kaggle.publish(variation, HANDLE)
    ((args, kwargs),) = sent
    assert args == (HANDLE, str(variation))
    assert kwargs["license_name"] == "Apache 2.0"
    assert kwargs["ignore_patterns"] == ["model-instance-metadata.json"]


def test_a_refusal_is_one_line_and_keeps_the_folder(variation, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("no\ncredentials")

    monkeypatch.setattr(kagglehub, "model_upload", refuse)
    with pytest.raises(bt_keras.UsageError, match="no credentials") as error:
        kaggle.publish(variation, HANDLE)
    assert "\n" not in str(error.value)
    assert variation.is_dir()


@pytest.mark.parametrize(
    "handle", [None, "a/b", "a/b/pyTorch/c", "a/b/tensorFlow2/c/1", "a//tensorFlow2/c"]
)
def test_handles_of_another_form_are_named(handle):
    with pytest.raises(bt_keras.UsageError, match="OWNER/MODEL/tensorFlow2/VARIATION"):
        kaggle.parse(handle)


def test_without_a_licence_nothing_is_laid_out(exported, tmp_path):
    with pytest.raises(bt_keras.UsageError, match="--license"):
        kaggle.lay_out(exported.folder, HANDLE, tmp_path / "publication")
    assert not (tmp_path / "publication").exists()
