"""Checks of the mean and the standard deviation that users give."""

import numpy as np
import pytest

from bt_keras.augmentation import statistics, views
from bt_keras.errors import UsageError


def test_any_pair_of_numbers_for_each_band_is_accepted():
    given = ([0, 0.5], np.array([0.25, 2]))
    expected = ((0, 0.5), (0.25, 2.0))
    assert statistics.check(given) == statistics.Statistics(*expected)
    assert views(8, "small", given).channels == 2


def test_changes_of_colors_need_rgb_images():
    gray = statistics.Statistics((0.5,), (0.2,))
    views(8, "small", gray, a={"hue": 0.0, "brightness": 0.1})
    with pytest.raises(UsageError, match=r"^b\.hue=0\.2 needs RGB .* bands is 1: "):
        views(8, "small", gray, b={"hue": 0.2})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "statistics=None must be (mean, deviation)"),
        ((0.5,), "must be (mean, deviation)"),
        (((), ()), "number of bands of statistics=0"),
        (((0.5,) * 17, (1,) * 17), "number of bands of statistics=17"),
        (((0.5,), (0.2, 0.2)), "1 numbers in its mean, but 2"),
        (((128,), (64,)), "mean of statistics=128 must be"),
        (((0.5,), (0,)), "deviation of statistics=0 must be"),
        (((float("nan"),), (1,)), "mean of statistics=nan must be"),
        ((("a",), (1,)), "mean of statistics='a' must be"),
    ],
)
def test_others_are_refused(value, message):
    with pytest.raises(UsageError) as error:
        statistics.check(value)
    assert message in str(error.value)
