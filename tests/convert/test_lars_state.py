"""Momenta, compared with the checkpoints of a network trained in PyTorch."""

import copy

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import convert
from bt_keras.convert import name_map
from tests.conftest import REFERENCE, relative_error
from tests.reference import weights

CHECKPOINT = REFERENCE / "checkpoint.pth"
ONE_GROUP = REFERENCE / "checkpoint_one_group.pth"


@pytest.fixture(scope="module")
def checkpoint():
    return convert.load(CHECKPOINT)


@pytest.fixture
def checkpoint_copy(checkpoint):
    """A copy of the checkpoint to modify."""
    return {**checkpoint, "optimizer": copy.deepcopy(checkpoint["optimizer"])}


def step(model):
    """Runs the fourth training step, as in record_pth.py."""
    views = weights.image_pair(16, 16, 16, seed=3)
    pairs = tf.data.Dataset.from_tensors(views)
    return model.fit(pairs, shuffle=False, verbose=0).history["loss"][0]


def updates(model, before):
    after = convert.to_torch(model)
    return {name: after[name] - before[name] for name in before}


def test_next_step_equals_pytorchs(recorded):
    """Weights, biases and statistics after a step with PyTorch's momenta."""
    reference = recorded("checkpoint_step")
    model = convert.from_torch(CHECKPOINT, replicas=1)  # As recorded.
    before = convert.to_torch(model)
    np.testing.assert_allclose(step(model), reference["loss"], rtol=1e-5)
    errors = {
        name: relative_error(update, reference[f"update/{name}"])
        for name, update in updates(model, before).items()
        if not name.startswith("bn.") and not name.endswith("num_batches_tracked")
    }
    assert len(errors) == 111
    # A 1x1 kernel with one input channel: batch norm removes its scale, so that its
    # gradient is only rounding error.
    del errors["backbone.layer2.0.downsample.0.weight"]
    # Errors relative to the update, which is about 1e-4 of the weight.
    assert max(errors.values()) < 2e-3, max(errors, key=errors.get)
    assert np.median(list(errors.values())) < 1e-5
    after = convert.to_torch(model)
    for name in errors:
        expected = before[name] + reference[f"update/{name}"]
        assert relative_error(after[name], expected) < 1e-5, name


@pytest.mark.slow
def test_next_step_equals_the_first_releases(recorded):
    """One parameter group, a scaled loss, and gradients divided by 16 replicas."""
    reference = recorded("checkpoint_one_group_step")
    model = convert.from_torch(ONE_GROUP)
    before = convert.to_torch(model)
    np.testing.assert_allclose(step(model), reference["loss"], rtol=1e-5)
    errors = [
        relative_error(update, reference[f"update/{name}"])
        for name, update in updates(model, before).items()
        if not name.startswith("bn.") and not name.endswith("num_batches_tracked")
    ]
    assert len(errors) == 111
    assert max(errors) < 5e-3  # PyTorch's own in float32: 1.7e-3
    assert np.median(errors) < 5e-5


def test_checkpoint_round_trip(checkpoint, tmp_path):
    model = convert.from_torch(CHECKPOINT)
    convert.save(tmp_path / "ours.pth", convert.to_checkpoint(model, epoch=3))
    loaded = convert.load(tmp_path / "ours.pth")
    assert loaded["epoch"] == 3
    assert list(loaded["model"]) == list(checkpoint["model"])
    for name, array in checkpoint["model"].items():
        if not name.startswith("module.bn.") and "num_batches" not in name:
            np.testing.assert_array_equal(loaded["model"][name], array)
    ours, theirs = loaded["optimizer"], checkpoint["optimizer"]
    assert ours["state"].keys() == theirs["state"].keys()
    for index, values in theirs["state"].items():
        np.testing.assert_allclose(ours["state"][index]["mu"], values["mu"], rtol=1e-6)
    for group, expected in zip(
        ours["param_groups"], theirs["param_groups"], strict=True
    ):
        assert group["lr"] == pytest.approx(expected["lr"], rel=1e-6)
        assert group["weight_decay"] == pytest.approx(expected["weight_decay"])
        settings = {name: expected[name] for name in ("lr", "weight_decay")}
        assert {**group, **settings} == expected


def test_stream_format(checkpoint):
    backbone = convert.from_torch(REFERENCE / "backbone_stream.pth")
    for variable in name_map.map_variables(backbone):
        theirs = checkpoint["model"][f"module.backbone.{variable.name}"]
        np.testing.assert_array_equal(variable.to_torch(), theirs)


def test_optimizer_of_a_backbone_is_ignored(checkpoint):
    state = convert.load(REFERENCE / "backbone_stream.pth")
    source = {"model": state, "optimizer": checkpoint["optimizer"]}
    assert not getattr(convert.from_torch(source), "compiled", False)


def remove_momenta(optimizer):
    del optimizer["state"][0]["mu"]
    del optimizer["state"][26]


def change_shape(optimizer):
    optimizer["state"][0]["mu"] = np.zeros((1, 3, 5, 5), np.float32)


def add_momentum(optimizer):
    optimizer["state"][999] = {"mu": np.zeros(1)}


def remove_index(optimizer):
    optimizer["param_groups"][0]["params"].pop()


def remove_group(optimizer):
    optimizer["param_groups"].pop()


def remove_everything(optimizer):
    optimizer.clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_momenta, "momentum of backbone.conv1.weight; missing momentum of b"),
        (change_shape, r"has shape \(1, 3, 5, 5\) instead of \(1, 3, 3, 3\)"),
        (add_momentum, "unexpected momentum of parameter 999"),
        (remove_index, "22 parameters in group 0 instead of 23"),
        (remove_group, "23 parameters in group 0 instead of 67"),
        (remove_everything, "0 parameter groups instead of 2"),
    ],
)
def test_mismatched_momenta_are_listed(checkpoint_copy, change, message):
    change(checkpoint_copy["optimizer"])
    with pytest.raises(bt_keras.UsageError, match=message) as error:
        convert.from_torch(checkpoint_copy)
    assert "pass only the checkpoint's 'model'" in str(error.value)


def test_models_without_official_counterpart():
    model = convert.from_torch(CHECKPOINT)
    for epoch in (-1, 1.5, None):
        with pytest.raises(bt_keras.UsageError, match="epoch="):
            convert.to_checkpoint(model, epoch)
    with pytest.raises(bt_keras.UsageError, match="not Functional"):
        convert.to_checkpoint(model.backbone, 1)
    model.compile(optimizer="sgd")
    with pytest.raises(bt_keras.UsageError, match="the model's optimizer is SGD"):
        convert.to_checkpoint(model, 1)
    model.backbone.trainable = False
    model.compile(optimizer=bt_keras.LARS())
    with pytest.raises(bt_keras.UsageError, match=r"frozen layers: backbone\.conv1"):
        convert.to_checkpoint(model, 1)
