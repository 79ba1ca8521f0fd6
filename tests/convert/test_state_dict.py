"""Conversion of whole models in both directions."""

import keras
import ml_dtypes
import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from tests.conftest import REFERENCE
from tests.reference import weights

FORMATS = ("pth", "safetensors", "npz")


def tiny(depth=18, width=4, stem="imagenet"):
    return weights.resnet_state(depth, 1, width, stem)


def with_projector(projector=(24, 16, 8)):
    return weights.barlow_twins_state(18, projector, width=8)


def without_counters(state):
    return {n: a for n, a in state.items() if not n.endswith("num_batches_tracked")}


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


@pytest.mark.parametrize(
    "depth",
    [18, 34, 50, *(pytest.param(d, marks=pytest.mark.slow) for d in (101, 152))],
)
def test_round_trip_of_every_depth(depth, tmp_path):
    state = tiny(depth)
    convert.save(tmp_path / "theirs.pth", state)
    backbone = convert.from_torch(tmp_path / "theirs.pth")
    assert backbone.name == f"resnet{depth}"
    for suffix in FORMATS:
        path = tmp_path / f"ours.{suffix}"
        convert.save(path, convert.to_torch(backbone))
        loaded = convert.load(path)
        assert_same(without_counters(loaded), state)
        counters = [a for n, a in loaded.items() if n.endswith("num_batches_tracked")]
        assert len(counters) == sum(name.endswith("running_var") for name in state)
        assert all(a.dtype == np.int64 and a.shape == () and not a for a in counters)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format(suffix, tmp_path):
    state = tiny(50)
    convert.save(tmp_path / f"theirs.{suffix}", state)
    backbone = convert.from_torch(str(tmp_path / f"theirs.{suffix}"))
    assert_same(without_counters(convert.to_torch(backbone)), state)


@pytest.mark.parametrize(("width", "stem"), [(16, "cifar"), (8, "imagenet")])
def test_widths_and_stems(width, stem):
    state = tiny(50, width, stem)
    assert_same(without_counters(convert.to_torch(convert.from_torch(state))), state)


def test_official_checkpoint():
    state = with_projector()
    extra = {"backbone.bn1.num_batches_tracked": np.array(7)}
    checkpoint = {f"module.{name}": a for name, a in {**state, **extra}.items()}
    model = convert.from_torch({"epoch": 3, "model": checkpoint})
    assert isinstance(model, bt_keras.BarlowTwins)
    assert model.lambd == 0.0051
    loaded = convert.to_torch(model)
    width = state["bn.running_mean"].shape
    assert loaded["bn.num_batches_tracked"] == 0
    state |= {"bn.running_mean": np.zeros(width), "bn.running_var": np.ones(width)}
    assert_same(without_counters(loaded), state)


@pytest.mark.parametrize(("classes", "arrays"), [(7, 2), (0, 0)])
def test_torchvision_classifier(classes, arrays):
    model = convert.from_torch(with_projector())
    state = convert.to_torch(model, naming="torchvision", num_classes=classes)
    backbone = convert.to_torch(model.backbone)
    assert list(state)[: len(backbone)] == list(backbone)
    assert len(state) == len(backbone) + arrays
    if classes:
        assert state["fc.weight"].shape == (classes, 64)
        assert state["fc.bias"].shape == (classes,)
        assert convert.from_torch(state).output_shape == (None, 64)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_weights_become_float32(dtype):
    state = {name: array.astype(dtype) for name, array in tiny().items()}
    model = convert.from_torch(state)
    assert {variable.dtype for variable in model.variables} == {"float32"}
    kernel = np.transpose(model.get_layer("conv1").kernel, (3, 2, 0, 1))
    np.testing.assert_array_equal(kernel, state["conv1.weight"].astype(np.float32))


def other_backbone():
    return keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()]
    )


def other_projector():
    dense = keras.Sequential([keras.Input((512,)), keras.layers.Dense(4)])
    return bt_keras.BarlowTwins(bt_keras.resnet(18), dense)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: bt_keras.resnet(18, 0.05), {"naming": "caffe"}, "official, torch"),
        (
            lambda: bt_keras.resnet(18, 0.05),
            {"naming": "torchvision", "num_classes": -1},
            "num_classes",
        ),
        (
            lambda: bt_keras.resnet(18, 0.05),
            {"naming": "torchvision", "num_classes": None},
            "num_classes=None must be an int",
        ),
        (other_backbone, {}, "has a layer .* only backbones from bt_keras.resnet"),
        (
            lambda: bt_keras.resnet(18, 0.05, features=8),
            {},
            "a layer 'head_conv': .* with features=0",
        ),
        (other_projector, {}, "the projector's layer"),
    ],
)
def test_models_without_pytorch_counterpart(model, options, message):
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.to_torch(model(), **options)


class Tensor:
    """An object with only `__array__`, like tensors of PyTorch and JAX."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype)


def test_objects_with_array_interface():
    state = tiny()
    tensors = {name: Tensor(array) for name, array in state.items()}
    backbone = convert.from_torch({"state_dict": tensors, "arch": "resnet18"})
    assert_same(without_counters(convert.to_torch(backbone)), state)
    checkpoint = convert.load(REFERENCE / "checkpoint.pth")
    expected = convert.from_torch(checkpoint).optimizer.momenta
    momenta = checkpoint["optimizer"]["state"]
    for values in momenta.values():
        values["mu"] = Tensor(values["mu"])
    for ours, theirs in zip(
        convert.from_torch(checkpoint).optimizer.momenta, expected, strict=True
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
