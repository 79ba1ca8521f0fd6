"""Fast views and images that show which image and which seed they are made from."""

import numpy as np
import tensorflow as tf

from bt_keras.data import from_dataset

# Ten images of one color each, so that a view shows which image it is made from.
IMAGES = np.full((10, 6, 5, 3), 20 * np.arange(10, dtype=np.uint8)[:, None, None, None])


def in_memory():
    return from_dataset(tf.data.Dataset.from_tensor_slices(IMAGES))


class Plain:
    """Views that show their images (view a) and their seed and noise (view b).

    Tracing them takes a fraction of the time that the real views take.
    """

    def __init__(self, size=4):
        self.size = size

    def crop(self, images, seed, shard=(0, 1)):
        view = tf.image.resize(images, (self.size, self.size), "nearest")
        noise = self._noise(seed, images.shape[0], shard)[:, None, None]
        return view + tf.cast(256 * noise * [0, 0, 1], tf.uint8), view

    def distort(self, crop_a, crop_b, seed, shard=(0, 1)):
        batch = crop_a.shape[0]
        seeds = tf.broadcast_to(tf.cast(seed, tf.float32), (batch, 2))
        noise = self._noise(seed, batch, shard)
        return tf.cast(crop_a, tf.float32), tf.concat([seeds, noise], 1)

    def __call__(self, images, seed, shard=(0, 1)):
        return self.distort(*self.crop(images, seed, shard), seed, shard)

    def _noise(self, seed, batch, shard):
        index, shards = shard
        noise = tf.random.stateless_uniform((batch * shards, 1), seed)
        return noise[index * batch : (index + 1) * batch]
