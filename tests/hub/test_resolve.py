import gc
import hashlib
import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.export import archive
from bt_keras.hub import HubBackbone
from tests import remote
from tests.conftest import relative_error


@pytest.fixture(scope="module")
def packed(exported, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "module.tar.gz"
    archive.pack(exported.folder, path)
    return path


def features(handle, images):
    return bt_keras.load_backbone(handle)(images)


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_folders_and_archives(exported, packed, scheme, kind):
    path = {"folder": exported.folder, "archive": packed}[kind]
    ours = features(scheme + str(path), exported.images)
    assert relative_error(ours, exported.features()) < 1e-5


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_remote_modules_are_copied_and_checked(exported, packed, kind, tmp_path):
    path = {"folder": exported.folder, "archive": packed}[kind]
    handle = remote.upload(path, f"{tmp_path.name}/{path.name}")
    backbone = bt_keras.load_backbone(handle)
    assert relative_error(backbone(exported.images), exported.features()) < 1e-5
    if kind == "folder":
        with tf.io.gfile.GFile(f"{handle}/saved_model.pb", "ab") as file:
            file.write(b"damage")
        with pytest.raises(bt_keras.UsageError, match="differs from SHA256SUMS"):
            bt_keras.load_backbone(handle)


@pytest.mark.parametrize(
    ("handle", "reason"),
    [("ram://nowhere", "No such file"), ("none://a/b", "no file system for none://")],
)
def test_remote_modules_that_cannot_be_read_are_named(handle, reason):
    with pytest.raises(bt_keras.UsageError, match=reason):
        bt_keras.load_backbone(handle)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("run", "folder of a run: .*bt-keras export"), ("a.keras", "a zip file.*export")],
)
def test_runs_and_files_of_weights_are_no_modules(name, reason, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as file:
        file.writestr("config.json", "{}")
    with pytest.raises(bt_keras.UsageError, match=reason):
        bt_keras.load_backbone(tmp_path / name)


def test_an_archive_with_a_top_level_folder(exported, tmp_path):
    with tarfile.open(tmp_path / "module.tgz", "w:gz") as tar:
        tar.add(exported.folder, arcname="module")
    ours = features(tmp_path / "module.tgz", exported.images)
    assert relative_error(ours, exported.features()) < 1e-5


def test_the_cache_of_tensorflow_hub(exported, tmp_path, monkeypatch):
    handle = "https://tfhub.dev/somebody/barlow/1"
    cached = tmp_path / hashlib.sha1(handle.encode()).hexdigest()
    shutil.copytree(exported.folder, cached)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    ours = features(handle, exported.images)
    assert relative_error(ours, exported.features()) < 1e-5


def test_the_files_of_an_unpacked_archive_are_removed_with_the_layer(packed, tmp_path):
    layer = HubBackbone(packed)
    scratch = layer.folder.parent
    assert os.listdir(scratch)
    del layer
    gc.collect()
    assert not os.path.exists(scratch)


def test_the_same_files_give_the_same_archive(exported, packed, tmp_path):
    archive.pack(exported.folder, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == packed.read_bytes()
    with tarfile.open(packed) as tar:
        assert "saved_model.pb" in tar.getnames()
        assert {member.uid for member in tar} == {0}


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt"])
def test_an_unsafe_archive_is_refused_in_one_line(tmp_path, name):
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(bt_keras.UsageError, match=r"evil\.tar\.gz.*not safe") as error:
        bt_keras.load_backbone(tmp_path / "evil.tar.gz")
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == ["evil.tar.gz"]


def test_max_bytes_limits_and_raises_the_size_of_an_archive(packed, exported):
    with pytest.raises(bt_keras.UsageError, match="more than 1,000 bytes"):
        bt_keras.load_backbone(packed, max_bytes=1000)
    with pytest.raises(bt_keras.UsageError, match="more than 1,000 bytes"):
        bt_keras.hub.read_backbone(packed, max_bytes=1000)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_fifos_are_refused(tmp_path, name):
    os.mkfifo(tmp_path / "module.tar.gz")
    with pytest.raises(bt_keras.UsageError, match="neither a file nor a folder"):
        bt_keras.load_backbone(tmp_path / "module.tar.gz")
    (tmp_path / "module" / "variables").mkdir(parents=True)
    os.mkfifo(tmp_path / "module" / name)
    with pytest.raises(bt_keras.UsageError, match=f"{name} is not a file"):
        bt_keras.load_backbone(tmp_path / "module")


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_errors_name_a_truncated_archive(packed, tmp_path, part):
    contents = packed.read_bytes()
    path = tmp_path / "half.tar.gz"
    path.write_bytes(contents[: int(part * len(contents))])
    with pytest.raises(bt_keras.UsageError, match=r"half\.tar\.gz.*damaged"):
        bt_keras.load_backbone(path)


def test_a_damaged_byte_in_the_middle_is_found(packed, tmp_path):
    contents = bytearray(packed.read_bytes())
    contents[len(contents) // 2] ^= 0xFF
    (tmp_path / "bad.tar.gz").write_bytes(contents)
    with pytest.raises(bt_keras.UsageError, match=r"bad\.tar\.gz.*damaged"):
        bt_keras.load_backbone(tmp_path / "bad.tar.gz")


def test_the_checksums_in_an_archive_are_verified(exported, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "module")
    (folder / "README.md").write_text("# Another\n")
    archive.pack(folder, tmp_path / "module.tar.gz")
    with pytest.raises(bt_keras.UsageError, match=r"README\.md.*SHA256SUMS"):
        bt_keras.load_backbone(tmp_path / "module.tar.gz")


@pytest.mark.parametrize("handle", ["", "file://nowhere", "gs://nowhere/module"])
def test_a_missing_module_is_a_one_line_error(handle, exported, monkeypatch):
    monkeypatch.chdir(exported.folder)  # "" must not mean this folder.
    with pytest.raises(bt_keras.UsageError, match="cannot be loaded") as error:
        bt_keras.load_backbone(handle)
    assert "\n" not in str(error.value)


def test_errors_name_paths_without_a_module(tmp_path):
    with pytest.raises(bt_keras.UsageError, match=r"nowhere.*no such"):
        bt_keras.load_backbone(tmp_path / "nowhere")
    with pytest.raises(bt_keras.UsageError, match=r"saved_model\.pb"):
        bt_keras.load_backbone(tmp_path)
    (tmp_path / "text.tar.gz").write_text("not an archive")
    with pytest.raises(bt_keras.UsageError, match=r"text\.tar\.gz") as error:
        bt_keras.load_backbone(tmp_path / "text.tar.gz")
    assert "\n" not in str(error.value)
    (tmp_path / "saved_model.pb").write_text("not a SavedModel")
    with pytest.raises(bt_keras.UsageError, match="cannot be loaded") as error:
        bt_keras.load_backbone(tmp_path)
    assert "\n" not in str(error.value)


def test_errors_name_the_missing_parts_of_the_interface(tmp_path):
    foreign = tf.Module()
    foreign.v = tf.Variable(1.0)
    tf.saved_model.save(foreign, tmp_path / "foreign")
    names = "__call__, variables, trainable_variables, regularization_losses"
    with pytest.raises(bt_keras.UsageError, match=names):
        bt_keras.load_backbone(tmp_path / "foreign")
    with pytest.raises(bt_keras.UsageError, match="not exported by bt_keras"):
        bt_keras.hub.read_backbone(tmp_path / "foreign")


def test_a_module_of_another_author_loads(tmp_path):
    class Others(tf.train.Checkpoint):
        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3))])
        def __call__(self, images):
            return tf.reduce_mean(images, axis=(1, 2)) * self.scale

    scale = tf.Variable(2.0)
    others = Others(
        scale=scale,
        variables=[scale],
        trainable_variables=[scale],
        regularization_losses=[],
    )
    tf.saved_model.save(others, tmp_path / "others")
    layer = bt_keras.load_backbone(tmp_path / "others", trainable=True)
    images = np.ones((2, 8, 8, 3), "float32")
    np.testing.assert_allclose(layer(images, training=True), 2.0)
    with pytest.raises(bt_keras.UsageError, match="no endpoints"):
        bt_keras.load_backbone(tmp_path / "others", return_endpoints=True)
