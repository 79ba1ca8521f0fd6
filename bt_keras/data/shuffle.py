"""Seeded shuffling of image numbers, and of streams in blocks."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# Maximal number of bytes in a shuffled block of a stream, and its minimal records.
_BLOCK_BYTES = 2**29
_BLOCK_RECORDS = 1_000


def epoch_order(num_images: int | tf.Tensor, shuffle_seed: tf.Tensor) -> tf.Tensor:
    """Returns the order of an epoch, a permutation of the image numbers.

    Args:
        num_images: Integer or integer tensor.
        shuffle_seed: Integer tensor of shape `(2,)`. The order depends only on it.

    Returns:
        int64 tensor of shape `(num_images,)`.
    """
    numbers = tf.range(tf.cast(num_images, tf.int64))
    return tf.random.experimental.stateless_shuffle(numbers, shuffle_seed, alg="philox")


def fold_in(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Derives a seed, int64 of shape `(2,)`, from a seed and an integer."""
    # int32 seeds would give other results than int64 seeds.
    seed, number = tf.cast(seed, tf.int64), tf.cast(number, tf.int64)
    return tf.random.experimental.stateless_fold_in(seed, number, alg="philox")


def records_in_block(num_images: int, bytes_each: int) -> int:
    """Returns the number of records in a block of `shuffle_blocks`."""
    fitting = _BLOCK_BYTES // max(1, bytes_each)
    return min(num_images, max(_BLOCK_RECORDS, fitting))


def shuffle_blocks(
    read: Callable,
    num_images: int,
    bytes_each: int,
    shuffle_seed: tf.Tensor,
    first: int | tf.Tensor = 0,
) -> tf.data.Dataset:
    """Shuffles a stream in blocks; one block holds all of it if memory allows.

    `Dataset.shuffle` cannot be used, because its order depends on the global seed too.

    Args:
        read: Function of a position in the stream, an int64 tensor, that returns a
            `tf.data.Dataset` of the records from there on, which are dicts of tensors
            of fixed shapes.
        num_images: Integer. Number of records.
        bytes_each: Integer. Size of a record; it determines the size of a block.
        shuffle_seed: Integer tensor of shape `(2,)`. The order depends only on it.
        first: Integer or scalar int64 tensor. Position in the order to begin at;
            blocks before it are not read. Defaults to `0`.

    Returns:
        `tf.data.Dataset` of the same records.
    """
    block_size = records_in_block(num_images, bytes_each)
    first = tf.cast(first, tf.int64)
    first_block = first // block_size

    def shuffled(number, block):
        count = tf.shape(tf.nest.flatten(block)[0])[0]
        order = epoch_order(count, fold_in(shuffle_seed, number))
        block = {key: tf.gather(column, order) for key, column in block.items()}
        return tf.data.Dataset.from_tensor_slices(block)

    blocks = read(first_block * block_size).batch(block_size)
    if block_size < num_images:
        blocks = blocks.prefetch(1)  # Read the next block in the background.
    blocks = blocks.enumerate(first_block)
    return blocks.flat_map(shuffled).skip(first % block_size)
