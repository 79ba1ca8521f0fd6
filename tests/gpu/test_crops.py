"""Views that a GPU finishes, against those of the CPU."""

import numpy as np
import pytest

import bt_keras
from bt_keras.augmentation import finish_crops
from bt_keras.augmentation.statistics import IMAGENET
from tests.augmentation.conftest import make_photographs
from tests.gpu import card

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("recipe", ["imagenet", "small"])
def test_few_levels_differ_by_more_than_one(recipe):
    """Before the normalization; operations of the jitter enlarge some differences.

    On an H200 this failed: 0.34 % of the levels differed by more than one. The cause is
    not known.
    """
    make = bt_keras.views(32, recipe, finish_on_device=True)
    with card.on_cpu():
        crops = make(make_photographs(40, 48), seed=(0, 1))
        expected = finish_crops(crops)
    for view, same in zip(finish_crops(crops), expected, strict=True):
        difference = np.abs(view.numpy() - same.numpy())
        levels = 255 * difference * IMAGENET.deviation
        assert np.mean(levels > 1.01) < 1e-3
