import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras import UsageError
from bt_keras.model.view_pairs import expected_view, unpack_element
from tests import models

VIEW = np.zeros((4, 8, 8, 3))
IMAGES = tf.TensorSpec((None, None, None, 3))
A, B = tf.TensorSpec((None, 2), name="a"), tf.TensorSpec((None,), name="b")
ROWS = {"a": np.zeros((4, 2)), "b": np.zeros(4)}


@pytest.mark.parametrize(
    "data",
    [(VIEW, VIEW), ((VIEW, VIEW), np.zeros(4)), (VIEW, VIEW, None), [VIEW, VIEW]],
    ids=["pair", "label", "train_on_batch", "list"],
)
def test_views_with_and_without_labels(data):
    views, label = unpack_element(data, IMAGES)
    assert [view.shape for view in views] == [VIEW.shape] * 2
    has_label = isinstance(data[0], tuple)
    assert label is (data[1] if has_label else None)


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
        unpack_element(data, IMAGES)


def test_views_of_different_images_are_reported():
    with pytest.raises(UsageError, match="4 examples in view_a and 2 in view_b"):
        unpack_element((VIEW, VIEW[:2]), IMAGES)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (ROWS, {"a": A, "b": B}),
        (ROWS, [A, B]),  # By name, as Keras allows.
        (tuple(ROWS.values()), [A, B]),
        (list(ROWS.values()), (A, B)),
        ({"a": ROWS["a"]}, A),
        ({"x": [ROWS["a"], ROWS]}, {"x": (A, {"a": A, "b": B})}),
        (np.zeros((4, 2, 1)), A),  # Keras adjusts a last axis of one element.
        (np.zeros((4, 3)), tf.TensorSpec((None, 3, 1))),
        (np.zeros((4, 3)), tf.TensorSpec(None)),
    ],
)
def test_nests_of_tensors(view, expected):
    """A pair is not taken for views with a label, and the other way round."""
    for data in ((view, view), ((view, view), np.zeros(4)), (view, view, None)):
        views, label = unpack_element(data, expected)
        assert label is (data[1] if data[0] is not view else None)
        for each in views:
            keras.tree.assert_same_structure(each, expected)
            for tensor, original in zip(
                keras.tree.flatten(each), keras.tree.flatten(view), strict=True
            ):
                assert tensor is original


@pytest.mark.parametrize(
    ("view", "expected", "got"),
    [
        (ROWS, {"a": A}, "got [{'a': (4, 2), 'b': (4,)}, {'a': (4, 2), 'b': (4,)}]"),
        (ROWS, {"a": A, "c": B}, "each view {'a': (N, 2), 'c': (N,)}"),
        (tuple(ROWS.values()), {"a": A, "b": B}, "got [[(4, 2), (4,)], [("),
        (np.zeros((4, 5)), A, "each view (N, 2); got [(4, 5), (4, 5)]"),
        ({"a": 3, "b": np.zeros(4)}, {"a": A, "b": B}, "'a': int"),
        (np.zeros(()), tf.TensorSpec(None), "each view a tensor; got [(), ()]"),
    ],
)
def test_nests_that_do_not_fit_are_one_line(view, expected, got):
    with pytest.raises(UsageError) as error:
        unpack_element((view, view), expected)
    assert got in str(error.value)
    assert "\n" not in str(error.value)


def test_ragged_views_are_one_line():
    ragged = tf.ragged.constant([[1.0], [2.0, 3.0]])
    with pytest.raises(UsageError, match=r"ragged tensors[^\n]*padded_batch"):
        unpack_element((ragged, ragged), tf.TensorSpec((None, None)))


def test_rows_within_a_view_must_agree():
    with pytest.raises(UsageError, match="got 4, 3 examples in view_a"):
        unpack_element(({"a": ROWS["a"], "b": np.zeros(3)}, ROWS), {"a": A, "b": B})


def test_a_backbone_without_a_graph_takes_other_sizes():
    backbone = models.Subclass()
    backbone(np.zeros((2, 8, 8, 3)))
    assert expected_view(backbone).shape.as_list() == [None] * 4
