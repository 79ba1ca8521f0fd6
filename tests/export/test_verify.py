import json
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.export import archive, static_checks, verify
from tests.exported import small_model


def failed(folder, trust=True):
    checks = verify.verify(folder, trust=trust)
    return {check.name for check in checks if not check.passed}


def test_an_exported_module_passes_all_checks(exported):
    checks = verify.verify(exported.folder)
    assert {check.name for check in checks if not check.passed} == set()
    names = {check.name for check in checks}
    assert len(names) == len(checks) == 33
    assert {"bt_keras importable", "stored arrays", "projector: error"} <= names


@pytest.mark.slow
def test_a_relative_path_and_a_backbone_with_frozen_layers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backbone = small_model().backbone
    for layer in backbone.layers[:6]:
        layer.trainable = False
    bt_keras.export_backbone(backbone, "module", image_size=32)
    assert failed("module") == set()


@pytest.mark.slow
def test_missing_endpoints_are_found(exported, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "module")
    path = folder / "assets.extra" / "bt_keras.json"
    fields = json.loads(path.read_text())
    fields["strides"] = [2, *fields["strides"]]
    path.write_text(json.dumps(fields))
    with np.load(folder / "assets.extra" / "sample.npz") as file:
        arrays = dict(file)
    np.savez(
        folder / "assets.extra" / "sample.npz", stride2=arrays["stride4"], **arrays
    )
    assert "endpoint stride2: error" in failed(folder)


@pytest.mark.slow
def test_changed_weights_are_found(exported, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "module")
    other = tmp_path / "other"
    bt_keras.export_backbone(small_model(seed=1), other, projector=True, image_size=32)
    shutil.rmtree(folder / "variables")
    shutil.copytree(other / "variables", folder / "variables")
    found = failed(folder)
    assert "SHA-256 of all files" in found
    assert "hub.load: error" in found
    assert "signature encoded features: error" in found
    assert "variables" not in found


def test_a_module_that_does_not_load_fails_a_check(exported, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "module")
    (folder / "variables" / "variables.index").unlink()
    assert "loads and runs" in failed(folder)


def test_weights_and_collectives_in_the_graph_are_found(tmp_path):
    constant = np.random.default_rng(0).normal(size=(200, 200)).astype("float32")

    class Module(tf.train.Checkpoint):
        @tf.function(input_signature=[tf.TensorSpec((None, 200))])
        def __call__(self, inputs):
            total = tf.raw_ops.CollectiveReduce(
                input=inputs,
                group_size=2,
                group_key=1,
                instance_key=1,
                merge_op="Add",
                final_op="Id",
                subdiv_offsets=[0],
            )
            return total @ tf.constant(constant)

    tf.saved_model.save(Module(), tmp_path / "module")
    checks = {
        check.name: check for check in static_checks.check_graph(tmp_path / "module")
    }
    assert "CollectiveReduce" in checks["cross-replica operations"].found
    assert not checks["weights in the graph"].passed


def _change(module, change):
    graph = module / "saved_model.pb"
    if change == "changed":
        graph.write_bytes(graph.read_bytes() + b"\0")
    elif change == "added":
        (module / "variables" / "extra").write_text("")
    elif change == "missing":
        (module / "README.md").unlink()
    elif change == "no sums":
        (module / "SHA256SUMS").unlink()
    else:
        (module / "more").symlink_to(module / "variables", target_is_directory=True)


@pytest.mark.parametrize(
    ("change", "packed"),
    [
        *(("changed", True), ("changed", False), ("no sums", True), ("no sums", False)),
        *(("added", False), ("missing", False), ("link", False)),
    ],
)
def test_a_module_whose_sums_differ_is_not_loaded(
    exported, tmp_path, monkeypatch, change, packed
):
    module = shutil.copytree(exported.folder, tmp_path / "module")
    _change(module, change)
    if packed:
        archive.pack(module, tmp_path / "module.tar.gz")
        module = tmp_path / "module.tar.gz"

    def run(*_, **__):
        raise AssertionError("the module was loaded")

    monkeypatch.setattr(subprocess, "run", run)
    (check,) = verify.verify(module)
    assert not check.passed
    assert check.name in ("SHA-256 of all files", "SHA256SUMS")
    with pytest.raises(AssertionError, match="was loaded"):
        verify.verify(module, trust=True)


def test_a_saved_model_without_metadata_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), tmp_path / "foreign")
    with pytest.raises(bt_keras.UsageError, match="not exported by bt_keras"):
        verify.verify(tmp_path / "foreign")


@pytest.mark.slow
def test_weights_without_a_gradient_are_no_failure(tmp_path):
    """The features are 0, whatever the first layers compute."""
    backbone = bt_keras.resnet(6, width=1 / 16, stem="cifar")
    for variable in backbone.trainable_variables:
        if "gamma" in variable.name:
            variable.assign(np.zeros(variable.shape))
    bt_keras.export_backbone(backbone, tmp_path / "module", image_size=16)
    assert failed(tmp_path / "module") == set()
