"""`.keras` files that would make Keras run code or read other files."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

import bt_keras
from bt_keras.checkpoint import keras_file, save_restore
from bt_keras.convert import keras_source
from tests import models  # noqa: F401 (registers the ResNet-10)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A compiled model's file."""
    model = bt_keras.BarlowTwins(bt_keras.resnet(10, width=1 / 16), (4, 4))
    model.compile(optimizer=bt_keras.LARS(0.1))
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return path


def changed(saved, path, config=None, weights=None):
    """Writes a copy whose config and weights have been through functions."""
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if config and name == "config.json":
                value = json.loads(content)
                config(value)
                content = json.dumps(value).encode()
            if weights and name == "model.weights.h5":
                file = io.BytesIO(content)
                with h5py.File(file, "r+") as arrays:
                    weights(arrays)
                content = file.getvalue()
            copy.writestr(name, content)
    return path


def refused(path, match):
    """Checks every way to load the file."""
    model = bt_keras.BarlowTwins(bt_keras.resnet(10, width=1 / 16), (4, 4))
    with pytest.raises(ValueError, match=match):
        keras_file.check(path)
    for load in (
        lambda: save_restore.load(path),
        lambda: keras_source.load_model(path, with_optimizer=False),
        lambda: keras_source.load_model(path, with_optimizer=True),
    ):
        with pytest.raises(bt_keras.UsageError, match=match) as error:
            load()
        assert "\n" not in str(error.value)
    del model


def test_files_of_our_models_pass(saved):
    keras_file.check(saved)
    assert isinstance(save_restore.load(saved), bt_keras.BarlowTwins)


def layer(name, module, config=None, **fields):
    return {"class_name": name, "module": module, "config": config or {}, **fields}


LAYERS = {
    "another module": (layer("Popen", "subprocess"), "'subprocess.Popen'.*registered"),
    "a function": (
        layer("function", "os", "system", registered_name="function"),
        "'os.function'.*registered",
    ),
    "a download": (layer("get_file", "keras.utils"), "not part of a model"),
    "a setting": (
        layer("enable_unsafe_deserialization", "keras.config"),
        "not part of a model",
    ),
    "internal": (layer("x", "keras.src.saving.serialization_lib"), "not part of"),
    "a SavedModel": (layer("TFSMLayer", "keras.layers"), "is a program"),
    "a pickle": (layer("TorchModuleWrapper", "keras.layers"), "is a program"),
    "a vocabulary": (
        layer("StringLookup", "keras.layers", {"vocabulary": "/etc/passwd"}),
        "vocabulary is another file",
    ),
    "no name": (layer("x", ["os"]), "not part of a model"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_other_classes_are_refused(saved, tmp_path, name):
    value, match = LAYERS[name]
    path = changed(
        saved, tmp_path / "bad.keras", lambda config: config["config"].update(x=[value])
    )
    refused(path, match)


def test_a_registered_class_passes(saved, tmp_path):
    @keras.saving.register_keras_serializable("test_keras_file")
    class Own(keras.layers.Dense):
        pass

    model = keras.Sequential([keras.Input((2,)), Own(3)])
    model.save(tmp_path / "own.keras")
    keras_file.check(tmp_path / "own.keras")


def first(arrays):
    """Returns the group and the name of one data set."""
    names = []
    arrays.visititems(
        lambda name, x: names.append(name) if hasattr(x, "dtype") else None
    )
    group, _, name = names[0].rpartition("/")
    return arrays[group], name


def external_data(arrays):
    group, name = first(arrays)
    del group[name]
    group.create_dataset(name, (4,), "f4", external=[("/etc/hostname", 0, 16)])


def external_link(arrays):
    group, name = first(arrays)
    group[name + "x"] = h5py.ExternalLink("/etc/other.h5", "/data")


def soft_link(arrays):
    group, name = first(arrays)
    group[name + "x"] = h5py.SoftLink("/")


def virtual(arrays):
    group, name = first(arrays)
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "data", (4,))
    group.create_virtual_dataset(name + "x", layout)


def huge(arrays):
    group, name = first(arrays)
    group.create_dataset(name + "x", (2**40,), "f4", chunks=(2**20,), compression=9)


WEIGHTS = {
    external_data: "in another file",
    external_link: "is a link",
    soft_link: "is a link",
    virtual: "in another file",
    huge: "declares more weights than it stores",
}


@pytest.mark.parametrize("change", WEIGHTS, ids=lambda change: change.__name__)
def test_weights_in_other_files_are_refused(saved, tmp_path, change):
    path = changed(saved, tmp_path / "bad.keras", weights=change)
    refused(path, WEIGHTS[change])
    model = save_restore.load(saved)
    with pytest.raises(ValueError, match=WEIGHTS[change]):
        keras_file.check(path)
    assert np.isfinite(model.get_weights()[0]).all()
