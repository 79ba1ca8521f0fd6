import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import data
from bt_keras.evaluation.frozen_features import FrozenBackbone


def test_features_are_of_center_crops_in_file_order(frozen):
    images, labels = zip(*frozen.test_source.dataset(), strict=True)
    np.testing.assert_array_equal(frozen.test.labels, labels)
    pixels = np.stack(images) / 255.0
    normalized = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = frozen.backbone(normalized.astype("float32"))
    np.testing.assert_allclose(frozen.test.features, expected, atol=1e-5)


def test_labels_are_required_unless_no_evaluator_needs_them(frozen):
    images = tf.data.Dataset.from_tensor_slices(np.zeros((4, 8, 8, 3), "uint8"))
    unlabeled = data.from_dataset(images)
    arguments = (frozen.backbone, unlabeled, unlabeled, 8, 1.0, 4)
    with pytest.raises(bt_keras.UsageError, match="needs labels"):
        FrozenBackbone(*arguments)
    one_class = data.from_dataset(
        tf.data.Dataset.zip(images, tf.data.Dataset.range(1).repeat(4)), ("cat",)
    )
    with pytest.raises(bt_keras.UsageError, match=r"two classes, .* the class 'cat'"):
        FrozenBackbone(frozen.backbone, one_class, one_class, 8, 1.0, 4)
    without_labels = FrozenBackbone(*arguments, needs_labels=False)
    assert without_labels.test.features.shape == (4, 16)


def test_a_split_without_the_labels_of_the_data_set_is_one_line(frozen):
    """As the split "unlabelled" of STL-10, whose images have the label -1."""
    decode = frozen.test_source.decode
    source = dataclasses.replace(
        frozen.test_source,
        split="unlabelled",
        decode=lambda record: (decode(record)[0], tf.constant(-1, tf.int64)),
    )
    arguments = (frozen.backbone, source, source, frozen.size, 1.0, 4)
    with pytest.raises(bt_keras.UsageError, match=r"'unlabelled' of .* have no label"):
        FrozenBackbone(*arguments).test.features  # noqa: B018
    without_labels = FrozenBackbone(*arguments, needs_labels=False)
    assert set(without_labels.test.labels) == {-1}


def test_single_images_without_labels_are_an_error_of_evaluators(frozen):
    decode = frozen.test_source.decode

    def unlabeled(record):
        image, label = decode(record)
        is_dark = tf.reduce_mean(tf.cast(image, tf.float32)) < 80.0
        return image, tf.where(is_dark, tf.constant(-1, tf.int64), label)

    source = dataclasses.replace(frozen.test_source, decode=unlabeled)
    source.require_labels("evaluation")  # Only the first is read.
    arguments = (frozen.backbone, source, source, frozen.size, 1.0, 4)
    some = FrozenBackbone(*arguments, needs_labels=False)
    assert -1 in some.test.labels
    for known in (False, True):  # Features that are in a folder are not computed.
        found = FrozenBackbone(*arguments)
        if known:
            found._folder.features = lambda *_: some.test
        with pytest.raises(bt_keras.UsageError, match=r"have no label \(-1\)"):
            found.test.features  # noqa: B018
