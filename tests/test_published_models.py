"""Models that the package contains, by name."""

import os
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest

import bt_keras
from bt_keras import published_models
from bt_keras.cli import main
from tests.cli.commands import one_error_line
from tests.conftest import relative_error

NAME = "fashion_mnist_resnet18_w25"


def sample(name):
    """The images, uint8, and the features that a module has recorded."""
    with tarfile.open(published_models.find(name)) as tar:
        return dict(np.load(tar.extractfile("assets.extra/sample.npz")))


@pytest.mark.parametrize("name", published_models.names())
def test_the_features_are_those_of_the_recorded_sample(name):
    recorded = sample(name)
    images = recorded["images"].astype("float32") / 255
    backbone = bt_keras.load_backbone(name)
    assert relative_error(backbone(images), recorded["features"]) < 1e-4
    # Images differ, and so do their features.
    assert np.abs(recorded["features"][0] - recorded["features"][1]).max() > 0.01


def test_a_folder_or_an_archive_of_the_same_name_wins(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(exported.folder, NAME)
    ours = bt_keras.load_backbone(NAME)(exported.images)
    assert relative_error(ours, exported.features()) < 1e-5
    shutil.rmtree(NAME)
    os.mkdir(NAME)
    with pytest.raises(bt_keras.UsageError, match=r"saved_model\.pb"):
        bt_keras.load_backbone(NAME)


def test_the_names_are_found_after_a_plain_import():
    code = "import bt_keras; print(bt_keras.published_models.names())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.decode().strip() == str(published_models.names())


@pytest.mark.parametrize("handle", ["fashion_mnist_resnet18", "nothing-like-it"])
def test_an_unknown_name_is_one_line_with_all_names(handle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(bt_keras.UsageError, match="no published model") as error:
        bt_keras.load_backbone(handle)
    message = str(error.value)
    assert "\n" not in message
    assert ", ".join(published_models.names()) in message
    assert (f"did you mean {NAME}?" in message) == handle.startswith("fashion")


@pytest.mark.parametrize("handle", ["no/folder", "module.tar.gz", "file:///nothing"])
def test_paths_are_no_names(handle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(bt_keras.UsageError) as error:
        bt_keras.load_backbone(handle)
    assert str(error.value).endswith("no such folder or archive.")


def test_without_published_models_the_line_is_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr(published_models, "_FOLDERS", (tmp_path / "none",))
    with pytest.raises(bt_keras.UsageError, match=r"no such folder or archive\.$"):
        bt_keras.load_backbone(NAME)


def test_the_models_of_an_installed_package_come_first(tmp_path, monkeypatch):
    own, others = tmp_path / "own", tmp_path / "others"
    for folder, name in ((own, "a"), (others, "a"), (others, "b")):
        (folder / name).mkdir(parents=True)
        (folder / name / "module.tar.gz").touch()
    monkeypatch.setattr(published_models, "_FOLDERS", (own, others))
    assert published_models.names() == ["a", "b"]
    assert published_models.find("a") == own / "a" / "module.tar.gz"


def test_every_command_takes_a_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = [f"--module={NAME}", "--source=shipped"]
    out = tmp_path / "features.npz"
    assert main(["embed", *module, "--split=test", f"--out={out}"]) == 0
    with np.load(out) as file:
        assert file["features"].shape == (2000, 128)
    assert main(["evaluate", *module, "--protocol=knn"]) == 0
    assert "knn" in capsys.readouterr().out
    for arguments in (
        ["evaluate", "--module=resnet18", "--source=shipped"],
        ["embed", "--module=resnet18", "--source=shipped", "--out=a.npz"],
        ["finetune", "--module=resnet18", "--source=shipped", "--out=a.keras"],
        ["export", "--verify=resnet18"],
        ["pretrain", "--config=demo", "--workdir=run", "--init_from=resnet18"],
    ):
        one_error_line(capsys, arguments, "no published model", NAME)


@pytest.mark.slow  # Builds the network of the demo and reads its images.
def test_a_run_starts_from_a_name(tmp_path, capsys):
    arguments = ["--config=demo", f"--workdir={tmp_path / 'run'}", "--dry_run"]
    assert main(["pretrain", *arguments, f"--init_from={NAME}"]) == 0
    assert f"starting from {NAME}: loaded" in capsys.readouterr().out
