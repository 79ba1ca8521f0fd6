import shutil

import kagglehub
import pytest

import bt_keras
from bt_keras.export import publishing
from bt_keras.export.kaggle import Kaggle

KAGGLE = Kaggle()
HANDLE = "somebody/barlow-twins/tensorFlow2/small"


@pytest.fixture(scope="module")
def licensed(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("licensed") / "module"
    about = {"license": "Apache-2.0"}
    bt_keras.export_backbone(exported.model, folder, image_size=32, about=about)
    return folder


def test_the_upload_has_all_files_of_the_module_and_kaggle_s_license_name(licensed):
    upload = publishing.prepare(KAGGLE, licensed, HANDLE)
    assert not upload.changed
    assert upload.license_name == "Apache 2.0"
    assert upload.version_notes.endswith("32 features.")
    assert dict(upload.files) == {
        path.relative_to(licensed).as_posix(): path.stat().st_size
        for path in licensed.rglob("*")
        if path.is_file()
    }


def test_kagglehub_sends_the_upload(licensed, monkeypatch):
    calls = []
    monkeypatch.setattr(
        kagglehub, "model_upload", lambda *args, **kwargs: calls.append((args, kwargs))
    )
    upload = publishing.prepare(KAGGLE, licensed, HANDLE)
    publishing.publish(KAGGLE, upload)
    ((args, kwargs),) = calls
    assert args == (HANDLE, str(licensed))
    notes = upload.version_notes
    assert kwargs == {"license_name": "Apache 2.0", "version_notes": notes}


def test_an_error_of_kaggle_is_one_line(licensed, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("no\ncredentials")

    monkeypatch.setattr(kagglehub, "model_upload", refuse)
    with pytest.raises(bt_keras.UsageError, match="no credentials") as error:
        publishing.publish(KAGGLE, publishing.prepare(KAGGLE, licensed, HANDLE))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "handle", [None, "a/b", "a/b/pyTorch/c", "a/b/tensorFlow2/c/1", "a//tensorFlow2/c"]
)
def test_malformed_handles_are_refused(handle):
    with pytest.raises(bt_keras.UsageError, match="OWNER/MODEL/tensorFlow2/VARIATION"):
        KAGGLE.check_handle(handle)


def test_a_module_without_a_license_is_not_published(exported):
    with pytest.raises(bt_keras.UsageError, match="--license"):
        publishing.prepare(KAGGLE, exported.folder, HANDLE)


def test_a_damaged_module_is_not_published(licensed, tmp_path):
    module = shutil.copytree(licensed, tmp_path / "module")
    with (module / "saved_model.pb").open("ab") as file:
        file.write(b"0")
    with pytest.raises(
        bt_keras.UsageError, match=r"saved_model.pb differs from SHA256"
    ):
        publishing.prepare(KAGGLE, module, HANDLE)
