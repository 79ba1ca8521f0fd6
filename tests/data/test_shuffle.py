"""Shuffling of streams in blocks."""

import numpy as np
import tensorflow as tf

from bt_keras.data.shuffle import shuffle_blocks


def test_streams_too_large_for_memory_are_shuffled_in_blocks():
    def read(first):
        return tf.data.Dataset.range(first, 2_500).map(lambda i: {"number": i})

    def order(seed):
        # Records of 1 GiB: three blocks, of 1,000, 1,000 and 500.
        shuffled = shuffle_blocks(read, 2_500, 2**30, seed)
        return [int(record["number"]) for record in shuffled]

    found = order((1, 2))
    assert found == order((1, 2))
    assert found != order((1, 3))
    blocks = np.split(np.array(found), [1_000, 2_000])
    for block, start in zip(blocks, [0, 1_000, 2_000], strict=True):
        assert sorted(block) == list(range(start, start + len(block)))
    assert (blocks[0] != blocks[1] - 1_000).any()
