import os
import shutil
import tempfile

import pytest

import bt_keras
from bt_keras.export import verify
from tests.conftest import relative_error

NAMES = ["run[1]", "a*b?", "back\\slash", "100% 'quoted' \N{SNOWMAN}", "-x", "{}"]


@pytest.mark.parametrize("name", NAMES)
def test_folders_of_any_name(exported, tmp_path, name):
    folder = shutil.copytree(exported.folder, tmp_path / name / name)
    features = bt_keras.load_backbone(folder)(exported.images)
    assert relative_error(features, exported.features()) < 1e-5
    backbone, _ = bt_keras.hub.read_backbone(folder)
    assert backbone.output_shape == exported.model.backbone.output_shape


@pytest.mark.slow
def test_a_module_in_a_folder_of_any_name_passes_the_checks(tmp_path, monkeypatch):
    name = "[a*b] \\ ?"
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    bt_keras.export_backbone(bt_keras.resnet(10, width=1 / 16), "module", image_size=32)
    assert all(check.passed for check in verify.verify("module"))
    assert os.listdir() == ["module"]


def test_a_temporary_folder_of_such_a_name_is_one_line(exported, tmp_path, monkeypatch):
    shutil.copytree(exported.folder, tmp_path / "run[1]")
    (tmp_path / "tmp[1]").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp[1]"))
    with pytest.raises(bt_keras.UsageError, match=r"has '\[' in its name: set TMPDIR"):
        bt_keras.hub.read_backbone(tmp_path / "run[1]")
