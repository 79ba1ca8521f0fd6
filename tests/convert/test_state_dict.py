import re

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


def whole(projector=(24, 16, 8)):
    return weights.barlow_twins_state(18, projector, width=8)


def without_counters(state):
    return {n: a for n, a in state.items() if not n.endswith("num_batches_tracked")}


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_every_depth_goes_there_and_back_in_files(depth, tmp_path):
    state = tiny(depth)
    convert.save(tmp_path / "theirs.pth", state)
    backbone = convert.from_torch(tmp_path / "theirs.pth")
    assert backbone.name == f"resnet{depth}"
    for suffix in FORMATS:
        path = tmp_path / f"ours.{suffix}"
        convert.save(path, convert.to_torch(backbone))
        again = convert.load(path)
        assert_same(without_counters(again), state)
        counters = [a for n, a in again.items() if n.endswith("num_batches_tracked")]
        assert len(counters) == sum(name.endswith("running_var") for name in state)
        assert all(a.dtype == np.int64 and a.shape == () and not a for a in counters)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_a_model(suffix, tmp_path):
    state = tiny(50)
    convert.save(tmp_path / f"theirs.{suffix}", state)
    backbone = convert.from_torch(str(tmp_path / f"theirs.{suffix}"))
    assert_same(without_counters(convert.to_torch(backbone)), state)


@pytest.mark.parametrize(("width", "stem"), [(16, "cifar"), (8, "imagenet")])
def test_widths_and_stems(width, stem):
    state = tiny(50, width, stem)
    assert_same(without_counters(convert.to_torch(convert.from_torch(state))), state)


def test_an_official_checkpoint_gives_the_whole_model():
    state = whole()
    extra = {"backbone.bn1.num_batches_tracked": np.array(7)}
    checkpoint = {f"module.{name}": a for name, a in {**state, **extra}.items()}
    model = convert.from_torch({"epoch": 3, "model": checkpoint})
    assert isinstance(model, bt_keras.BarlowTwins)
    assert model.lambd == 0.0051
    again = convert.to_torch(model)
    width = state["bn.running_mean"].shape
    assert again["bn.num_batches_tracked"] == 0
    state |= {"bn.running_mean": np.zeros(width), "bn.running_var": np.ones(width)}
    assert_same(without_counters(again), state)


def test_names_are_in_the_order_of_pytorch():
    names = list(convert.to_torch(convert.from_torch(tiny(50))))
    assert names[0] == "conv1.weight"
    start = names.index("layer1.0.bn3.weight")
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert names[start : start + 12] == [
        *(f"layer1.0.bn3.{part}" for part in norm),
        "layer1.0.downsample.0.weight",
        *(f"layer1.0.downsample.1.{part}" for part in norm),
        "layer1.1.conv1.weight",
    ]


@pytest.mark.parametrize(("classes", "names"), [(7, 2), (0, 0)])
def test_torchvisions_names_have_a_classifier(classes, names):
    model = convert.from_torch(whole())
    state = convert.to_torch(model, naming="torchvision", num_classes=classes)
    backbone = convert.to_torch(model.backbone)
    assert list(state)[: len(backbone)] == list(backbone)
    assert len(state) == len(backbone) + names
    if classes:
        assert state["fc.weight"].shape == (classes, 64)
        assert state["fc.bias"].shape == (classes,)
        assert convert.from_torch(state).output_shape == (None, 64)


def test_detectron2s_names():
    contents = convert.to_detectron2(convert.from_torch(tiny(50)))
    assert contents["matching_heuristics"] is True
    state = contents["model"]
    norm = {"weight", "bias", "running_mean", "running_var"}
    assert {n.rpartition(".")[2] for n in state if ".norm." in n} == norm
    assert not [n for n in state if re.search(r"bn\d|layer|downsample|fc|num_b", n)]
    assert set(state) >= {
        "stem.conv1.weight",
        "stem.conv1.norm.bias",
        "res2.0.conv1.weight",
        "res2.0.conv3.norm.running_var",
        "res2.0.shortcut.weight",
        "res2.0.shortcut.norm.weight",
        "res5.2.conv2.norm.running_mean",
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_weights_become_float32(dtype):
    state = {name: array.astype(dtype) for name, array in tiny().items()}
    model = convert.from_torch(state)
    assert {variable.dtype for variable in model.variables} == {"float32"}
    kernel = np.transpose(model.get_layer("conv1").kernel, (3, 2, 0, 1))
    np.testing.assert_array_equal(kernel, state["conv1.weight"].astype(np.float32))


def test_arrays_that_do_not_fit_are_listed():
    state = tiny(width=8)
    del state["layer3.1.bn2.running_var"]
    state["layer2.0.conv1.weight"] = state["layer2.0.conv1.weight"][:-1]
    state["extra.weight"] = np.zeros(3)
    with pytest.raises(bt_keras.UsageError) as error:
        convert.from_torch(state)
    message = str(error.value)
    assert "missing layer3.1.bn2.running_var" in message
    assert "left over 'extra.weight'" in message
    assert "layer2.0.conv1.weight is (15, 8, 3, 3) and must be (16, 8, 3, 3)" in message
    assert " more" not in message
    state |= {f"extra.{i}": np.zeros(3) for i in range(30)}
    with pytest.raises(bt_keras.UsageError, match=r"extra\.\d+' and 13 more\.$"):
        convert.from_torch(state)


class Tensor:
    """What only `np.asarray` takes, as tensors of PyTorch and JAX."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype)


def test_tensors_of_others_are_taken():
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


def test_wide_networks_are_named():
    state = tiny(50)
    for name in ("layer1.0.conv1.weight", "layer1.0.conv2.weight"):
        state[name] = np.repeat(state[name], 2, axis=0)
    with pytest.raises(bt_keras.UsageError, match="a wide ResNet or ResNeXt, which"):
        convert.from_torch(state)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, r"conv1\.weight"),
        ({"a": np.zeros(2)}, r"conv1\.weight"),
        ([1, 2], "mapping"),
        ({"conv1.weight": "text"}, "'conv1.weight' is of <U4"),
        ({"conv1.weight": object()}, "'conv1.weight' is of object"),
        ({"conv1.weight": [[1], [1, 2]]}, "'conv1.weight' is of list, not an array"),
        ({"a": 1.0, "module.a": 2.0}, "'a' twice"),
        ({"conv1.weight": np.zeros((0, 3, 7, 7))}, "without channels"),
        (tiny() | {"layer1.2.conv1.weight": np.zeros(1)}, r"\(3, 2, 2, 2\) basic"),
        ({f"backbone.{n}": a for n, a in tiny().items()}, r"no 'projector\.0\."),
    ],
)
def test_what_is_no_resnet_is_named(source, message):
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.from_torch(source)


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
        (other_backbone, {}, "not one of bt_keras.resnet"),
        (other_projector, {}, "the projector's layer"),
    ],
)
def test_what_cannot_become_pytorchs_is_named(model, options, message):
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.to_torch(model(), **options)
