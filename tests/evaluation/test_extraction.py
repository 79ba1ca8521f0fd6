import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.distribution import strategies
from bt_keras.evaluation.extraction import on_replicas
from bt_keras.evaluation.frozen_features import FrozenBackbone
from tests.evaluation.gray import gray_levels, small_backbone


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 6, 7])
def test_replicas_give_the_features_of_one_device(replicas, count, rows):
    backbone = small_backbone()
    images = np.random.default_rng(0).normal(size=(rows, 8, 8, 3)).astype("f4")
    found = on_replicas(backbone, replicas(count))(tf.constant(images))()
    assert found.dtype == np.float32
    expected = backbone(images, training=False)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_frozen_backbone_computes_its_features_on_replicas(replicas):
    sources = gray_levels((10, 10, 11)), gray_levels((4, 4, 4))
    backbone = small_backbone()
    one, two = (
        FrozenBackbone(backbone, *sources, 8, 1.0, batch_size=8, strategy=strategy)
        for strategy in (None, replicas(2))
    )
    np.testing.assert_allclose(one.train.features, two.train.features, rtol=1e-5)
    np.testing.assert_array_equal(one.train.labels, two.train.labels)


def test_features_can_begin_at_any_image():
    sources = gray_levels((10, 10, 11)), gray_levels((4, 4, 4))
    frozen = FrozenBackbone(small_backbone(), *sources, 8, 1.0, batch_size=8)
    for first in (8, 30):
        features, labels = map(
            np.concatenate,
            zip(*frozen.batches_of_features(sources[0], first), strict=True),
        )
        expected = frozen.train.features[first:]
        np.testing.assert_allclose(features, expected, rtol=1e-5)
        np.testing.assert_array_equal(labels, frozen.train.labels[first:])


def test_several_workers_are_refused(replicas, monkeypatch):
    monkeypatch.setattr(strategies, "num_workers", lambda strategy: 2)
    with pytest.raises(bt_keras.UsageError, match="one process"):
        on_replicas(small_backbone(), replicas(1))
