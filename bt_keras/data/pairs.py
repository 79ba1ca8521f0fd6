"""From a source and two views to batches of pairs: a function of (seed, step).

Steps are counted from 0 over the whole run. Step t belongs to epoch
t // steps_per_epoch; the order of an epoch is a permutation seeded by (seed, epoch),
and the views of a batch are seeded by (seed, step). So nothing needs to be remembered
to go on with a run: the same seed and the same step give the same pixels.
"""

import functools
import itertools

import tensorflow as tf
from absl import logging

from bt_keras.data.source import epoch_order, fold_in
from bt_keras.data.sources import load
from bt_keras.errors import UsageError

# Images that are no larger than this when decoded are kept in memory.
_IN_MEMORY_BYTES = 2**30
# Steps; a number of images that is a multiple of it must fit into an int64.
_ENDLESS = 2**40


def pairs(
    source,
    views,
    batch_size,
    seed=0,
    split="train",
    endless=False,
    first_step=0,
    skip_corrupt=False,
):
    """Makes a dataset of batches of view pairs.

    An image is decoded once for both of its views; if all images have one size and
    fit into 1 GiB, once for the whole run. In each epoch every image is used at most
    once: those left over when the number of images is not a multiple of `batch_size`
    (other ones in each epoch) are dropped.

    Args:
        source: a name or a path (see `bt_keras.data.load`), a `Source`, or a
            `tf.data.Dataset` of uint8 images or (image, label).
        views: what `bt_keras.views` returns, or a function of (images uint8
            (N, H, W, 3), seed=(s, step)) that returns two batches. A plain function
            needs images of one size.
        batch_size: int, at least 2. Over all replicas.
        seed: int. Seeds the order and the views.
        split: str. The part of the source.
        endless: bool. If False, the dataset is an epoch long, and each iteration over
            it, such as an epoch of `model.fit`, gives the next epoch: iteration i
            (counted by this object, also when only a part of it was used) has the
            steps from `first_step + i * steps_per_epoch` on.
        first_step: int. The step to begin with. The batches before it are not made.
        skip_corrupt: bool. Leave out the files of a folder that cannot be decoded.

    Returns:
        `tf.data.Dataset` of (view_a, view_b), float32 (batch_size, size, size, 3).

    Raises:
        UsageError: If the source cannot be used, or `batch_size` does not fit it.

    Example:
        >>> dataset = pairs("shipped", bt_keras.views(32, "small"), batch_size=256)
        >>> model.fit(dataset, epochs=10)
    """
    source = load(source, split, skip_corrupt)
    _check(source, views, batch_size, first_step)
    steps_per_epoch = source.num_images // batch_size
    length = _ENDLESS if endless else steps_per_epoch
    batches = _in_memory if _fits(source) else _streamed

    if endless:
        starts = tf.data.Dataset.from_tensors(tf.constant(first_step, tf.int64))
    else:
        starts = _first_steps(first_step, steps_per_epoch)
    dataset = batches(source, views, batch_size, seed, starts, length)
    if not endless:
        count = tf.data.experimental.assert_cardinality(steps_per_epoch)
        dataset = dataset.apply(count)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(_options())


def _first_steps(first_step, steps_per_epoch):
    """A dataset of one number, the first step of the iteration that reads it."""
    # tf.data has no notion of how often it was iterated. Python counts, not a
    # tf.Variable, which would be mirrored if made in the scope of a strategy.
    iterations = itertools.count()

    def next_first_step():
        yield first_step + next(iterations) * steps_per_epoch

    return tf.data.Dataset.from_generator(
        next_first_step, output_signature=tf.TensorSpec((), tf.int64)
    )


def _options():
    options = tf.data.Options()
    options.deterministic = True
    # Each worker keeps its part of every batch: then the workers' batches together
    # are the batch of the step. By file, epochs would depend on the number of workers;
    # unsharded, all of them would train on the same images.
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    return options


def _check(source, views, batch_size, first_step):
    if batch_size < 2:
        raise UsageError(
            f"batch_size is {batch_size}, but the cross-correlation needs at least 2 "
            "images: give 2 or more."
        )
    if batch_size > source.num_images:
        raise UsageError(
            f"batch_size is {batch_size}, but the split {source.split!r} of "
            f"{source.name!r} has {source.num_images} images: give at most that many."
        )
    if first_step < 0:
        raise UsageError(f"first_step is {first_step}: give 0 or more.")
    if None in source.image_shape and not _per_image(views):
        raise UsageError(
            f"The images of {source.name!r} are not of one known size, which a plain "
            "function of a batch needs: give bt_keras.views(...), or resize the images."
        )
    size = getattr(views, "size", None)
    if size and source.smallest_side and source.smallest_side < size / 2:
        _warn_once(
            f"The smallest image of {source.name!r} has {source.smallest_side} pixels "
            f"on a side, the views have {size}: smaller views cost less."
        )


@functools.lru_cache
def _warn_once(message):
    logging.warning("%s", message)


def _per_image(views):
    return hasattr(views, "crop") and hasattr(views, "distort")


def _fits(source):
    if None in source.image_shape:
        return False
    height, width, channels = source.image_shape
    return source.num_images * height * width * channels <= _IN_MEMORY_BYTES


def _in_memory(source, views, batch_size, seed, starts, length):
    """Batches of views of images that are decoded once and gathered by their number."""
    images = _decode_all(source)
    steps_per_epoch = source.num_images // batch_size

    def numbers_of_epoch(epoch):
        order = epoch_order(source.num_images, tf.stack([seed, epoch]))
        order = order[: steps_per_epoch * batch_size]
        return tf.data.Dataset.from_tensor_slices(tf.reshape(order, (-1, batch_size)))

    def numbers_from(step):
        epochs = tf.data.Dataset.range(step // steps_per_epoch, _ENDLESS)
        numbers = epochs.flat_map(numbers_of_epoch).skip(step % steps_per_epoch)
        return tf.data.Dataset.zip(_range_from(step), numbers).take(length)

    def batch_of_views(step, numbers):
        return views(tf.gather(images, numbers), seed=tf.stack([seed, step]))

    return starts.flat_map(numbers_from).map(batch_of_views, tf.data.AUTOTUNE)


def _decode_all(source):
    batches = source.dataset().map(lambda image, _: image).batch(1024)
    return tf.concat(list(batches), axis=0)


def _streamed(source, views, batch_size, seed, starts, length):
    """Batches of views of images that are read and decoded as they are needed."""

    def decode(position, record):
        return position, source.decode(record)[0]

    def batch_of_views(positions, images):
        return views(images, seed=tf.stack([seed, positions[0] // batch_size]))

    def crops(position, image):
        step, place = position // batch_size, position % batch_size
        image_seed = fold_in(tf.stack([seed, step]), place)
        crop_a, crop_b = views.crop(image[None], seed=image_seed)
        return step, crop_a[0], crop_b[0]

    def distort(steps, crops_a, crops_b):
        return views.distort(crops_a, crops_b, seed=tf.stack([seed, steps[0]]))

    records = _records(source, batch_size, seed, starts, length)
    images = records.map(decode, tf.data.AUTOTUNE)
    if None not in source.image_shape:
        batches = images.batch(batch_size, drop_remainder=True)
        return batches.map(batch_of_views, tf.data.AUTOTUNE)
    batches = images.map(crops, tf.data.AUTOTUNE).batch(batch_size, drop_remainder=True)
    return batches.map(distort, tf.data.AUTOTUNE)


def _records(source, batch_size, seed, starts, length):
    """Undecoded records in the order of the run, each with its position in the run."""
    images_per_epoch = source.num_images // batch_size * batch_size

    def records_of_epoch(epoch):
        return source.records(tf.stack([seed, epoch])).take(images_per_epoch)

    def records_from(step):
        position = step * batch_size
        epochs = tf.data.Dataset.range(position // images_per_epoch, _ENDLESS)
        records = epochs.flat_map(records_of_epoch).skip(position % images_per_epoch)
        records = tf.data.Dataset.zip(_range_from(position), records)
        return records.take(length * batch_size)

    return starts.flat_map(records_from)


def _range_from(first):
    return tf.data.Dataset.range(first, _ENDLESS)
