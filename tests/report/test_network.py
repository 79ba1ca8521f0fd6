"""C of a model, which stays as it is."""

import numpy as np
import pytest

from bt_keras.errors import UsageError
from bt_keras.report.network import correlation, summarize
from tests.models import tiny


def test_an_error_leaves_the_statistics_of_batch_norm_as_they_were():
    model = tiny()
    views = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    model.project(views)
    before = model.get_weights()
    with pytest.raises(Exception, match="shape"):
        # The first view has changed them when the second one fails.
        correlation("epoch 1", model, (views, views[..., :2]))
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_c_that_is_not_finite_is_named():
    with pytest.raises(UsageError, match=r"\(epoch 3\) is not finite"):
        summarize("epoch 3", np.array([[1.0, np.nan], [0.0, 1.0]]), 8)
