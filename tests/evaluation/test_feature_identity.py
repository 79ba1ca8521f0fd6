import dataclasses
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from bt_keras import config, data
from bt_keras.evaluation import feature_identity
from bt_keras.evaluation.label_subsets import take_subset
from tests.evaluation.gray import gray_levels, small_backbone

SHIPPED = Path(data.__file__).parent / "shipped" / "fashion_mnist_12k"


def test_a_saved_network_is_the_same(tmp_path):
    backbone = small_backbone()
    backbone.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras")
    own = feature_identity.of_network(backbone)
    assert feature_identity.of_network(loaded) == own


def test_images_are_known_by_split_names_and_contents():
    source = data.load("shipped", "test")
    own = feature_identity.of_images(source)
    assert own == feature_identity.of_images(data.load("shipped", "test"))
    others = [
        data.load("shipped", "test[:1999]"),
        dataclasses.replace(source, digest="0"),
        dataclasses.replace(source, fingerprints=np.arange(2000)),
        dataclasses.replace(source, class_names=source.class_names[::-1]),
        dataclasses.replace(source, times=(0,)),
    ]
    assert own not in map(feature_identity.of_images, others)


def test_images_of_a_dataset_or_a_subset_are_not_known():
    subset = take_subset(data.load("shipped", "test"), np.arange(10))
    for source in (gray_levels((4, 4, 4)), subset):
        assert feature_identity.of_images(source) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("views.size", 32),
        ("evaluation.size", 32),
        ("evaluation.resize_ratio", 1.5),
        ("data.bits", 12),
        ("data.mean", (0.5, 0.5, 0.5)),
        ("data.deviation", (0.5, 0.5, 0.5)),
        ("precision", "mixed_bfloat16"),
    ],
)
def test_settings_that_change_features(field, value):
    recipe = config.default()
    before = feature_identity.of_settings(recipe)
    recipe.update_from_flattened_dict({field: value})
    assert feature_identity.of_settings(recipe) != before


def test_versions_of_packages_and_code_change_features(monkeypatch):
    recipe = config.default()
    before = feature_identity.of_settings(recipe)
    with monkeypatch.context() as patch:
        patch.setattr(feature_identity.store, "versions", dict)
        assert feature_identity.of_settings(recipe) != before
    with monkeypatch.context() as patch:
        patch.setattr("PIL.__version__", "0")
        assert feature_identity.of_settings(recipe) != before
    with monkeypatch.context() as patch:
        patch.setattr(feature_identity, "code_digest", lambda folders: "other")
        assert feature_identity.of_settings(recipe) != before
    assert feature_identity.of_settings(recipe) == before


def test_the_code_is_that_of_the_folders(tmp_path, monkeypatch):
    package = Path(feature_identity.bt_keras.__file__).parent
    for folder in ("data", "networks"):
        shutil.copytree(package / folder, tmp_path / folder)
    digest = feature_identity.code_digest.__wrapped__
    before = digest(("data", "networks")), digest(("data",))
    monkeypatch.setattr(
        feature_identity.bt_keras, "__file__", str(tmp_path / "__init__.py")
    )
    assert (digest(("data", "networks")), digest(("data",))) == before
    (tmp_path / "networks" / "resnet.py").write_text("# other\n")
    assert digest(("data", "networks")) != before[0]
    assert digest(("data",)) == before[1]


def test_a_data_set_that_was_written_again_is_another_one(tmp_path):
    """Its labels may be others, although its files have the same sizes."""
    folder = shutil.copytree(SHIPPED, tmp_path / "fashion_mnist_12k")
    name = str(next(path.parent for path in folder.glob("*/dataset_info.json")))
    own = data.load(name, "test")
    shard = next(folder.glob("*/*test*"))
    os.utime(shard, ns=(0, 0))
    other = data.load(name, "test")
    assert other.digest == own.digest
    assert feature_identity.of_images(other) != feature_identity.of_images(own)
