"""Momenta, against the files of a network that trained in PyTorch."""

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
def changed(checkpoint):
    """One to spoil."""
    return {**checkpoint, "optimizer": copy.deepcopy(checkpoint["optimizer"])}


def step(model):
    """The fourth training step, as record_pth.py has it."""
    views = weights.image_pair(16, 16, 16, seed=3)
    pairs = tf.data.Dataset.from_tensors(views)
    return model.fit(pairs, shuffle=False, verbose=0).history["loss"][0]


def updates(model, before):
    after = convert.to_torch(model)
    return {name: after[name] - before[name] for name in before}


def test_training_goes_on_as_in_pytorch(recorded):
    """Weights, biases and statistics after a step from PyTorch's momenta."""
    reference = recorded("checkpoint_step")
    model = convert.from_torch(CHECKPOINT, replicas=1)  # As it was recorded.
    before = convert.to_torch(model)
    np.testing.assert_allclose(step(model), reference["loss"], rtol=1e-5)
    far = {
        name: relative_error(update, reference[f"update/{name}"])
        for name, update in updates(model, before).items()
        if not name.startswith("bn.") and not name.endswith("num_batches_tracked")
    }
    assert len(far) == 111
    # One channel, one weight for each of what follows: batch norm takes its scale
    # away again, so that its gradient is rounding alone.
    del far["backbone.layer2.0.downsample.0.weight"]
    # Of the update, not of the weight, which moves by parts in ten thousand.
    assert max(far.values()) < 2e-3, max(far, key=far.get)
    assert np.median(list(far.values())) < 1e-5
    after = convert.to_torch(model)
    for name in far:
        expected = before[name] + reference[f"update/{name}"]
        assert relative_error(after[name], expected) < 1e-5, name


def test_training_goes_on_as_in_the_first_code(recorded):
    """One group, a scaled loss, and gradients that 16 replicas divide."""
    reference = recorded("checkpoint_one_group_step")
    model = convert.from_torch(ONE_GROUP)
    before = convert.to_torch(model)
    np.testing.assert_allclose(step(model), reference["loss"], rtol=1e-5)
    far = [
        relative_error(update, reference[f"update/{name}"])
        for name, update in updates(model, before).items()
        if not name.startswith("bn.") and not name.endswith("num_batches_tracked")
    ]
    assert len(far) == 111
    assert max(far) < 5e-3  # PyTorch's own in float32: 1.7e-3
    assert np.median(far) < 5e-5


def test_a_checkpoint_goes_there_and_back(checkpoint, tmp_path):
    model = convert.from_torch(CHECKPOINT)
    convert.save(tmp_path / "ours.pth", convert.to_checkpoint(model, epoch=3))
    again = convert.load(tmp_path / "ours.pth")
    assert again["epoch"] == 3
    assert list(again["model"]) == list(checkpoint["model"])
    for name, array in checkpoint["model"].items():
        if not name.startswith("module.bn.") and "num_batches" not in name:
            np.testing.assert_array_equal(again["model"][name], array)
    ours, theirs = again["optimizer"], checkpoint["optimizer"]
    assert ours["state"].keys() == theirs["state"].keys()
    for index, values in theirs["state"].items():
        np.testing.assert_allclose(ours["state"][index]["mu"], values["mu"], rtol=1e-6)
    for group, expected in zip(
        ours["param_groups"], theirs["param_groups"], strict=True
    ):
        assert group["lr"] == pytest.approx(expected["lr"], rel=1e-6)
        assert group["weight_decay"] == pytest.approx(expected["weight_decay"])
        taken = {name: expected[name] for name in ("lr", "weight_decay")}
        assert {**group, **taken} == expected


def test_a_stream_is_read_too(checkpoint):
    backbone = convert.from_torch(REFERENCE / "backbone_stream.pth")
    for tensor in name_map.of_model(backbone):
        theirs = checkpoint["model"][f"module.backbone.{tensor.name}"]
        np.testing.assert_array_equal(tensor.to_torch(), theirs)


def test_the_optimizer_of_a_backbone_is_passed_over(checkpoint):
    state = convert.load(REFERENCE / "backbone_stream.pth")
    source = {"model": state, "optimizer": checkpoint["optimizer"]}
    assert not getattr(convert.from_torch(source), "compiled", False)


def spoil_missing(optimizer):
    del optimizer["state"][0]["mu"]
    del optimizer["state"][26]


def spoil_shape(optimizer):
    optimizer["state"][0]["mu"] = np.zeros((1, 3, 5, 5), np.float32)


def spoil_extra(optimizer):
    optimizer["state"][999] = {"mu": np.zeros(1)}


def spoil_count(optimizer):
    optimizer["param_groups"][0]["params"].pop()


def spoil_groups(optimizer):
    optimizer["param_groups"].pop()


def spoil_all(optimizer):
    optimizer.clear()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_missing, "momentum of backbone.conv1.weight; missing the momentum of b"),
        (spoil_shape, r"conv1.weight is \(1, 3, 5, 5\) and must be \(1, 3, 3, 3\)"),
        (spoil_extra, "left over the momentum of parameter 999"),
        (spoil_count, "22 parameters in group 0 instead of 23"),
        (spoil_groups, "23 parameters in group 0 instead of 67"),
        (spoil_all, "0 groups of parameters instead of 2"),
    ],
)
def test_momenta_that_do_not_fit_are_listed(changed, spoil, message):
    spoil(changed["optimizer"])
    with pytest.raises(bt_keras.UsageError, match=message) as error:
        convert.from_torch(changed)
    assert "the checkpoint's 'model' alone" in str(error.value)


def test_what_is_no_checkpoint_of_ours_is_named():
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
