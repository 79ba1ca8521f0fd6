"""Fine-tuning on a share of the labels, and which images have one."""

import dataclasses

import numpy as np
import pytest

import bt_keras
from bt_keras import config, data
from bt_keras.evaluation import published_subsets
from bt_keras.evaluation.few_labels import LabeledImages
from bt_keras.evaluation.label_subsets import read_labels
from bt_keras.evaluation.semi import SemiSupervised
from bt_keras.evaluation.target import EvaluationTarget
from tests.evaluation.gray import gray_levels, trainable


def test_the_defaults_are_the_papers_protocol():
    paper = SemiSupervised(**config.default().evaluation.semi)
    assert paper.shares == (0.01, 0.1)
    assert paper.given_rates()["pretrained"] == (0.5, 0.002)
    assert paper.steps(12_811) == 1001


@pytest.mark.parametrize("share", [1.0, 0.0])
def test_shares_are_below_all(share):
    with pytest.raises(bt_keras.UsageError, match="finetune trains on all"):
        SemiSupervised((0.1, share))


def test_shares_are_stratified():
    frozen = trainable()
    subset = SemiSupervised().subset(LabeledImages(frozen, 0.9), 0.1, seed=0)
    assert np.bincount(read_labels(subset)).tolist() == [4, 4, 4]


@pytest.fixture
def imagenet(monkeypatch):
    """Small images under the names of ImageNet and its published subsets."""
    source = gray_levels((10, 10, 10))
    loaded = []

    def load(name, split, channels):
        loaded.append((name, split, channels))
        return dataclasses.replace(gray_levels((2, 2, 2)), name=name)

    monkeypatch.setattr(published_subsets, "load", load)
    frozen = trainable()
    frozen.train_source = dataclasses.replace(source, name="tfds:imagenet2012")
    return frozen, loaded


@pytest.mark.parametrize(
    ("share", "name"),
    [(0.01, "imagenet2012_subset/1pct"), (0.1, "imagenet2012_subset/10pct")],
)
def test_imagenets_published_subsets(imagenet, share, name):
    frozen, loaded = imagenet
    subset = SemiSupervised().subset(LabeledImages(frozen, 0.9), share, seed=2)
    assert loaded == [(f"tfds:{name}", "train", 3)]
    assert subset.num_images == 6


@pytest.mark.parametrize(
    ("subsets", "share"), [("stratified", 0.1), ("published", 0.3)]
)
def test_other_shares_of_imagenet_are_stratified(imagenet, subsets, share):
    frozen, loaded = imagenet
    evaluator = SemiSupervised(subsets=subsets)
    subset = evaluator.subset(LabeledImages(frozen, 0.9), share, seed=2)
    assert not loaded
    assert subset.num_images == 30 * share


@pytest.mark.parametrize(
    ("share", "subsets", "expected"),
    [
        (0.1, "published", "published"),
        (0.3, "published", "stratified"),
        (0.1, "stratified", "stratified"),
    ],
)
def test_results_tell_the_subset(imagenet, share, subsets, expected):
    evaluator = SemiSupervised((share,), subsets=subsets)
    assert evaluator.subset_settings(imagenet[0], share) == {"subset": expected}


def test_a_part_of_imagenet_has_no_published_subset(imagenet):
    source = dataclasses.replace(imagenet[0].train_source, split="train[:10%]")
    assert published_subsets.published_name(source, 0.01) is None


def test_the_published_subsets_are_in_tfds():
    tfds = pytest.importorskip("tensorflow_datasets")
    configs = tfds.builder_cls("imagenet2012_subset").builder_configs
    assert set(configs) == set(published_subsets._CONFIGURATIONS.values())


def test_other_classes_are_named(imagenet):
    frozen, _ = imagenet
    source = dataclasses.replace(frozen.train_source, class_names=("a", "b", "c"))
    with pytest.raises(bt_keras.UsageError, match="stratified"):
        published_subsets.load_published(source, 0.01)


def test_missing_published_images_are_found_before_the_training(imagenet, monkeypatch):
    def load(name, split, channels):
        raise bt_keras.UsageError(f"{name} is not on this machine")

    monkeypatch.setattr(published_subsets, "load", load)
    target = EvaluationTarget(imagenet[0].backbone, config.default(), epoch="3")
    with pytest.raises(bt_keras.UsageError, match="subset/1pct is not on"):
        SemiSupervised().check(imagenet[0], target)
    SemiSupervised(subsets="stratified").check(imagenet[0], target)


def test_images_are_held_out_of_the_subset():
    images = LabeledImages(trainable(), 0.9)
    subset = images.stratified(0.25, seed=1)
    rest, held_out = images.held_out(subset, seed=1)
    assert np.bincount(read_labels(rest)).tolist() == [8, 8, 8]
    assert np.bincount(read_labels(held_out)).tolist() == [2, 2, 2]
    pixels = [
        {bytes(image.tobytes()) for image, _ in part.dataset().as_numpy_iterator()}
        for part in (subset, rest, held_out)
    ]
    assert pixels[1] | pixels[2] == pixels[0]
    assert not pixels[1] & pixels[2]


def test_one_image_of_each_class_cannot_be_held_out():
    images = LabeledImages(trainable(), 0.9)
    with pytest.raises(bt_keras.UsageError, match="rates=paper"):
        images.held_out(images.stratified(0.01, seed=0), seed=0)


def test_the_shipped_images_have_no_published_subset():
    assert published_subsets.published_name(data.load("shipped"), 0.01) is None
