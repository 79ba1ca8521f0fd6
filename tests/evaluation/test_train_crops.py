import numpy as np
import pytest

from bt_keras.data import source as source_module
from bt_keras.evaluation.train_crops import batches_of_crops
from tests.evaluation.gray import gray_levels


@pytest.mark.parametrize(
    "in_memory",
    [True, pytest.param(False, marks=pytest.mark.slow)],
    ids=["in memory", "streamed"],
)
def test_batches_are_full_and_every_epoch_has_all_images(in_memory, monkeypatch):
    """Three batches of 6 images are two epochs of 9 images."""
    if not in_memory:
        monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", 0)
    source = gray_levels((2, 3, 4))
    batches = list(batches_of_crops(source, 5, 6, seed=0).take(6))
    for images, labels in batches:
        assert images.shape == (6, 5, 5, 3)
        assert labels.shape == (6,)
        # Brighter images have larger labels: crops and labels belong together.
        levels = np.array(images).mean(axis=(1, 2, 3))
        assert np.corrcoef(levels, labels)[0, 1] > 0.9
    labels = np.concatenate([labels for _, labels in batches])
    for epoch in labels.reshape(4, 9):
        assert np.bincount(epoch).tolist() == [2, 3, 4]
    assert len({epoch.tobytes() for epoch in labels.reshape(4, 9)}) > 1
    again = list(batches_of_crops(source, 5, 6, seed=0).take(6))
    np.testing.assert_array_equal(again[5][0], batches[5][0])
