"""The recipes of configs/ on images of the right sizes, for a few steps."""

import pytest

from bt_keras.cli import main
from tests.data.files import write_many

# The splits of each data set, and the sides of its images in pixels.
STAND_INS = {
    "cifar10": (("train", "test"), (32, 32)),
    "cifar10_fast": (("train", "test"), (32, 32)),
    "cifar100": (("train", "test"), (32, 32)),
    "stl10": (("unlabelled", "train", "test"), (96, 96)),
    "tiny_imagenet": (("train", "val"), (64, 64)),
    "imagenet100": (("train", "val"), (375, 500)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STAND_INS)
def test_a_recipe_trains_and_is_evaluated(name, tmp_path, capsys):
    splits, sides = STAND_INS[name]
    for seed, split in enumerate(splits):
        for each in range(2):
            folder = tmp_path / "images" / split / f"class{each}"
            write_many(folder, 8, seed=2 * seed + each, size=sides)
    flags = {
        "data.source": tmp_path / "images",
        "data.layout": "splits",
        "batch_size": 8,
        "epochs": 1,
        "optimizer.warmup_epochs": 0.0,
        "backbone.width": 0.125,
        "projector": "(32,32)",
    }
    workdir = f"--workdir={tmp_path / 'run'}"
    fields = [f"--config.{field}={value}" for field, value in flags.items()]
    assert main(["pretrain", f"--config={name}", workdir, *fields]) == 0
    labeled = ["--train_split=train"] if "unlabelled" in splits else []
    assert main(["evaluate", workdir, "--protocol=knn", *labeled]) == 0
    out = capsys.readouterr().out
    assert "top-1" in out
    assert ("size=32" in out) == (name == "cifar10_fast")
