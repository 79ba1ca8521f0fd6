"""Batches of pairs, or one part of each: its rows are decoded, and no others."""

import functools

import tensorflow as tf

from bt_keras.data.shuffle import epoch_order, fold_in

# Images that are no larger than this when decoded are kept in memory.
_IN_MEMORY_BYTES = 2**30
# Steps; a number of images that is a multiple of it must fit into an int64.
ENDLESS = 2**40


def batches(source, views, batch_size, seed, starts, length, part=(0, 1)):
    """Makes a dataset of batches of views, or of the same rows of every batch.

    Args:
        source: `Source`.
        views: what `bt_keras.views` returns, or a function like it.
        batch_size: int. The size of whole batches.
        seed: int. Seeds the order and the views.
        starts: `tf.data.Dataset` of one int64, the step to begin with.
        length: int. How many steps.
        part: (i, k), ints: the i-th of k equal parts of every batch, with the pixels
            that it has in the whole batch. `views` must then take a `part` as well.

    Returns:
        `tf.data.Dataset` of (view_a, view_b), of `batch_size / k` rows.
    """
    make = _in_memory if _fits(source) else _streamed
    return make(source, views, batch_size, seed, starts, length, part)


def _fits(source):
    if None in source.image_shape:
        return False
    height, width, channels = source.image_shape
    return source.num_images * height * width * channels <= _IN_MEMORY_BYTES


def _of_part(function, part):
    """Views of the images of a part; a whole batch is nothing to tell them."""
    return function if part == (0, 1) else functools.partial(function, part=part)


def _in_memory(source, views, batch_size, seed, starts, length, part):
    """Batches of views of images that are decoded once and gathered by their number."""
    images = source.images
    views = _of_part(views, part)
    steps_per_epoch = source.num_images // batch_size
    index, parts = part
    rows = batch_size // parts

    def numbers_of_epoch(epoch):
        order = epoch_order(source.num_images, tf.stack([seed, epoch]))
        order = order[: steps_per_epoch * batch_size]
        order = tf.reshape(order, (steps_per_epoch, parts, rows))
        return tf.data.Dataset.from_tensor_slices(order[:, index])

    def numbers_from(step):
        epochs = tf.data.Dataset.range(step // steps_per_epoch, ENDLESS)
        numbers = epochs.flat_map(numbers_of_epoch).skip(step % steps_per_epoch)
        return tf.data.Dataset.zip(_range_from(step), numbers).take(length)

    def batch_of_views(step, numbers):
        return views(tf.gather(images, numbers), seed=tf.stack([seed, step]))

    return starts.flat_map(numbers_from).map(batch_of_views, tf.data.AUTOTUNE)


def _streamed(source, views, batch_size, seed, starts, length, part):
    """Batches of views of images that are read and decoded as they are needed."""
    rows = batch_size // part[1]

    def decode(position, record):
        return position, source.decode(record)[0]

    def batch_of_views(positions, images):
        seeds = tf.stack([seed, positions[0] // batch_size])
        return _of_part(views, part)(images, seed=seeds)

    def crops(position, image):
        step, place = position // batch_size, position % batch_size
        image_seed = fold_in(tf.stack([seed, step]), place)
        crop_a, crop_b = views.crop(image[None], seed=image_seed)
        return step, crop_a[0], crop_b[0]

    def distort(steps, crops_a, crops_b):
        seeds = tf.stack([seed, steps[0]])
        return _of_part(views.distort, part)(crops_a, crops_b, seed=seeds)

    records = _records(source, batch_size, seed, starts, length)
    images = _only(part, records, batch_size).map(decode, tf.data.AUTOTUNE)
    if None not in source.image_shape:
        in_batches = images.batch(rows, drop_remainder=True)
        return in_batches.map(batch_of_views, tf.data.AUTOTUNE)
    in_batches = images.map(crops, tf.data.AUTOTUNE).batch(rows, drop_remainder=True)
    return in_batches.map(distort, tf.data.AUTOTUNE)


def _records(source, batch_size, seed, starts, length):
    """Undecoded records in the order of the run, each with its position in the run."""
    images_per_epoch = source.num_images // batch_size * batch_size

    def records_from(step):
        position = step * batch_size
        first_epoch, begin = position // images_per_epoch, position % images_per_epoch

        def records_of_epoch(epoch):
            first = tf.where(epoch == first_epoch, begin, 0)
            records = source.records(tf.stack([seed, epoch]), first)
            return records.take(images_per_epoch - first)

        epochs = tf.data.Dataset.range(first_epoch, ENDLESS)
        records = epochs.flat_map(records_of_epoch)
        records = tf.data.Dataset.zip(_range_from(position), records)
        return records.take(length * batch_size)

    return starts.flat_map(records_from)


def _only(part, records, batch_size):
    """Leaves out the records of the other parts, which are not decoded yet."""
    index, parts = part
    if parts == 1:
        return records
    rows = batch_size // parts
    return records.filter(
        lambda position, record: position % batch_size // rows == index
    )


def _range_from(first):
    return tf.data.Dataset.range(first, ENDLESS)
