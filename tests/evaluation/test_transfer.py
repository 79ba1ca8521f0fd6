import dataclasses

import numpy as np
import pytest

import bt_keras
from bt_keras import config
from bt_keras.evaluation.target import EvaluationTarget
from bt_keras.evaluation.transfer import Transfer
from tests.evaluation.gray import scores


@pytest.mark.parametrize(
    ("epochs", "drops"), [(14, (5, 9)), (84, (28, 56)), (3, (1, 2)), (1, (0, 1))]
)
def test_the_rate_drops_twice(epochs, drops):
    """SGD, 0.01, divided by 10 at two equally spaced points; weight decay 5e-4."""
    settings = config.default().evaluation.transfer.to_dict()
    probe = Transfer(**settings | {"epochs": epochs})
    rates = [probe.rate(epoch) for epoch in range(epochs)]
    expected = np.full(epochs, 0.01)
    for drop in drops:
        expected[drop:] /= 10
    np.testing.assert_allclose(rates, expected)
    assert (probe.momentum, probe.weight_decay) == (0.9, 5e-4)


def test_separate_classes_are_recognized(frozen):
    probe = Transfer(epochs=6, batch_size=16, learning_rate=0.3)
    assert scores(probe, frozen)["top1"] > 0.9


def test_other_images_than_those_of_pretraining_are_needed(frozen):
    recipe = config.default()
    target = EvaluationTarget(frozen.backbone, recipe, epoch="3")
    Transfer().check(frozen, target)
    recipe.data.source = frozen.train_source.name
    with pytest.raises(bt_keras.UsageError, match="give --source"):
        Transfer().check(frozen, target)


@pytest.mark.parametrize(
    ("name", "pretraining", "is_same"),
    [
        ("photos/", "photos", True),
        ("{here}/photos", "photos", True),
        ("link", "photos", True),
        ("others", "photos", False),
        ("~/photos", "{here}/photos", True),
        ("tfds:cifar10", "tfds:cifar10:3.0.2", True),
        ("tfds:cifar10", "tfds:cifar100", False),
        ("shipped", "shipped", True),
        ("gs://bucket/photos/", "gs://bucket/photos", True),
        ("gs://bucket/photos", "gs://bucket/others", False),
    ],
)
def test_other_names_of_the_same_images(
    frozen, tmp_path, monkeypatch, name, pretraining, is_same
):
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    name, pretraining = (each.format(here=tmp_path) for each in (name, pretraining))
    frozen.train_source = dataclasses.replace(frozen.train_source, name=name)
    recipe = config.default()
    recipe.data.source = pretraining
    target = EvaluationTarget(frozen.backbone, recipe, epoch="3")
    if is_same:
        with pytest.raises(bt_keras.UsageError, match="give --source"):
            Transfer().check(frozen, target)
    else:
        Transfer().check(frozen, target)
