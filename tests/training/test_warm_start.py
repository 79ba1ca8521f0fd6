import shutil

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras import config as config_lib
from bt_keras import convert
from bt_keras.augmentation.statistics import IMAGENET
from bt_keras.checkpoint import save_restore
from bt_keras.networks import image_classifier
from bt_keras.training.pretrain import pretrain
from bt_keras.training.warm_start import WarmStart
from tests import tiny

WIDTH = 1 / 16


def new_model(projector=(8, 6), depth=10):
    return bt_keras.BarlowTwins(bt_keras.resnet(depth, width=WIDTH), projector)


@pytest.fixture(scope="module")
def sources(exported, tmp_path_factory):
    """The exported model as weights, as a file of Keras and as a module."""
    folder, model = tmp_path_factory.mktemp("sources"), exported.model
    convert.save(folder / "official.pth", convert.to_torch(model))
    torchvision = convert.to_torch(model, "torchvision", 3)
    convert.save(folder / "torchvision.safetensors", torchvision)
    model.save(folder / "model.keras")
    model.backbone.save(folder / "backbone.keras")
    shutil.copytree(exported.folder, folder / "module")
    head = keras.layers.Dense(2)
    image_classifier(model.backbone, head, ["cat", "dog"]).save(
        folder / "classifier.keras"
    )
    (folder / "photo.jpg").touch()
    return folder


@pytest.mark.parametrize(
    ("source", "has_projector", "left"),
    [
        ("official.pth", True, "left out: 'bn.running_mean', 'bn.running_var'"),
        ("torchvision.safetensors", False, "is new; left out: 'fc.bias', 'fc.weight'"),
        ("model.keras", True, "left out: nothing"),
        ("backbone.keras", False, "is new; left out: nothing"),
        ("module", False, "is new; left out: 'projector'"),
    ],
)
def test_weights_are_taken(exported, sources, source, has_projector, left):
    model = new_model()
    projector = model.projector.get_weights()
    start = WarmStart(model, sources / source, IMAGENET)
    start.assign()
    expected = exported.model.projector.get_weights() if has_projector else projector
    for part, weights in (
        (model.backbone, exported.model.backbone.get_weights()),
        (model.projector, expected),
    ):
        for one, two in zip(part.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, two)
    line = start.describe()
    assert f"loaded resnet10 ({len(model.backbone.weights)} arrays, " in line
    assert line.endswith(left)


def test_other_statistics_of_the_images_are_told(sources):
    model, gray = new_model(), bt_keras.Statistics((0.5,) * 3, (0.25,) * 3)
    line = WarmStart(model, sources / "module", gray).describe()
    assert line.endswith(
        "set config.data.mean=(0.485, 0.456, 0.406) and "
        "config.data.deviation=(0.229, 0.224, 0.225) to keep them"
    )


def test_a_projector_of_other_widths_is_left(sources):
    line = WarmStart(new_model((8, 8)), sources / "official.pth", IMAGENET).describe()
    assert "the projector is new" in line
    assert "'the projector (its layer 3 with weights is Dense (8, 6), not Dense" in line


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("official.pth", ("'resnet10' has another architecture than 'resnet18'",)),
        ("module", ("another architecture", "its layer", "Change config.backbone (or")),
        ("missing.pth", ("missing.pth cannot be read",)),
        ("missing", ("missing",)),
        ("classifier.keras", ("is a classifier, not a backbone",)),
        ("photo.jpg", ("photo.jpg is no file of weights (.pth, ", ".keras)")),
    ],
)
def test_sources_that_do_not_fit(sources, source, parts):
    with pytest.raises(bt_keras.UsageError, match=r"^--init_from=[^\n]*$") as error:
        WarmStart(new_model(depth=18), sources / source, IMAGENET)
    for part in parts:
        assert part in str(error.value)


def test_weights_on_remote_disks_are_refused():
    with pytest.raises(bt_keras.UsageError, match=r"gs://a/b\.pth is on gs://.* copy"):
        WarmStart(new_model(), "gs://a/b.pth", IMAGENET)


def test_a_run_resumes_without_its_source(tmp_path, capsys):
    images = tiny.write_images(tmp_path / "images", per_class=8)
    config = config_lib.load(tiny.write_config(images / "tiny.py", images, depth=10))
    config.checkpoint.keep = 3
    backbone = bt_keras.resnet(10, config.backbone.width, "cifar")
    source = tmp_path / "source.pth"
    convert.save(source, convert.to_torch(backbone))
    workdir = tmp_path / "run"
    config.backbone.stem = "imagenet"
    with pytest.raises(bt_keras.UsageError, match="another architecture"):
        pretrain(config, workdir, init_from=source)
    assert not workdir.exists()
    config.backbone.stem = "cifar"
    trained = pretrain(config, workdir, init_from=source).get_weights()
    assert f"starting from {source}: loaded resnet10" in capsys.readouterr().out
    first, *others = sorted((workdir / "checkpoints").glob("*.keras"))
    assert first.name == "epoch-0000.keras"
    for one, two in zip(
        save_restore.load(first).backbone.get_weights(),
        backbone.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)
    source.unlink()
    for other in others:
        other.unlink()
    resumed = pretrain(config, workdir, init_from=source).get_weights()
    assert "is not read: the run has checkpoints" in capsys.readouterr().out
    for one, two in zip(trained, resumed, strict=True):
        np.testing.assert_array_equal(one, two)
