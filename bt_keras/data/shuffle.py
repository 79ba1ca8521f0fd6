"""Seeded orders of images: of a table, and of a stream a block at a time."""

import tensorflow as tf

# The most bytes that a shuffled block of a stream may hold, and the fewest records.
_BLOCK_BYTES = 2**29
_BLOCK_RECORDS = 1_000


def epoch_order(num_images, shuffle_seed):
    """The order of an epoch: the numbers below `num_images`, shuffled.

    Args:
        num_images: int or integer tensor.
        shuffle_seed: integer tensor (2,). The order depends on nothing else.

    Returns:
        int64 tensor (num_images,), a permutation.
    """
    numbers = tf.range(tf.cast(num_images, tf.int64))
    return tf.random.experimental.stateless_shuffle(numbers, shuffle_seed, alg="philox")


def fold_in(seed, number):
    """Makes another seed, int64 (2,), of a seed of shape (2,) and an integer."""
    # Folding int32 seeds gives other numbers than folding int64 seeds.
    seed, number = tf.cast(seed, tf.int64), tf.cast(number, tf.int64)
    return tf.random.experimental.stateless_fold_in(seed, number, alg="philox")


def shuffle_blocks(read, num_images, bytes_each, shuffle_seed, first=0):
    """Shuffles a stream: a block at a time, of all of it if memory allows.

    `Dataset.shuffle` will not do, as its order also depends on the global seed.

    Args:
        read: function from a position of the stream, an int64 tensor, to a
            `tf.data.Dataset` of its records from there on, dicts of tensors of fixed
            shapes.
        num_images: int. How many records there are.
        bytes_each: int. The size of a record, to choose the size of a block.
        shuffle_seed: integer tensor (2,). The order depends on nothing else.
        first: int or scalar int64 tensor. The position of the order to begin at;
            blocks before it are not read.

    Returns:
        `tf.data.Dataset` of the same records.
    """
    fitting = _BLOCK_BYTES // max(1, bytes_each)
    block_size = min(num_images, max(_BLOCK_RECORDS, fitting))
    first = tf.cast(first, tf.int64)
    first_block = first // block_size

    def shuffled(number, block):
        count = tf.shape(tf.nest.flatten(block)[0])[0]
        order = epoch_order(count, fold_in(shuffle_seed, number))
        block = {key: tf.gather(column, order) for key, column in block.items()}
        return tf.data.Dataset.from_tensor_slices(block)

    blocks = read(first_block * block_size).batch(block_size)
    if block_size < num_images:
        blocks = blocks.prefetch(1)  # Reads the next block while this one is used.
    blocks = blocks.enumerate(first_block)
    return blocks.flat_map(shuffled).skip(first % block_size)
