"""Operations on batches, inside and outside a dataset."""

import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops


def test_operations_inside_a_dataset_give_the_same_levels(photographs):
    shift = np.full(len(photographs), 0.07, np.float32)
    dataset = tf.data.Dataset.from_tensors((photographs, shift)).repeat(3)
    expected = ops.adjust_hue(photographs, shift)
    for got in dataset.map(ops.adjust_hue, num_parallel_calls=2):
        np.testing.assert_array_equal(got, expected)
