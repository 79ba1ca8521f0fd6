import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.model.view_pairs import unpack_views

VIEW = np.zeros((4, 8, 8, 3))


@pytest.mark.parametrize(
    "data",
    [(VIEW, VIEW), ((VIEW, VIEW), np.zeros(4)), (VIEW, VIEW, None), [VIEW, VIEW]],
    ids=["pair", "label", "train_on_batch", "list"],
)
def test_views_with_and_without_labels(data):
    assert [view.shape for view in unpack_views(data, 3)] == [VIEW.shape] * 2


@pytest.mark.parametrize(
    "data",
    [
        (np.zeros((4, 8)), np.zeros((4, 8))),
        (VIEW,),
        VIEW,
        (VIEW[..., :1], VIEW[..., :1]),
        ((VIEW, VIEW, VIEW), np.zeros(4)),
    ],
    ids=["no images", "one view", "a tensor", "gray", "three views"],
)
def test_other_data_is_reported(data):
    with pytest.raises(UsageError, match="view_a, view_b"):
        unpack_views(data, channels=3)


def test_views_of_different_images_are_reported():
    with pytest.raises(UsageError, match="4 images in view_a and 2 in view_b"):
        unpack_views((VIEW, VIEW[:2]), channels=None)
