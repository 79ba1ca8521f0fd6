"""Views and images that are made in no time, and tell what they are of."""

import numpy as np
import tensorflow as tf

from bt_keras.data import from_dataset

# Ten images of one colour each, so that a view tells which image it shows.
IMAGES = np.full((10, 6, 5, 3), 20 * np.arange(10, dtype=np.uint8)[:, None, None, None])


def in_memory():
    return from_dataset(tf.data.Dataset.from_tensor_slices(IMAGES))


class Plain:
    """Views that show which images they are of (a) and with which seed (b), and noise.

    They take a fraction of the time that TensorFlow needs to trace the real ones.
    """

    def __init__(self, size=4):
        self.size = size

    def crop(self, images, seed, part=(0, 1)):
        view = tf.image.resize(images, (self.size, self.size), "nearest")
        noise = self._noise(seed, images.shape[0], part)[:, None, None]
        return view + tf.cast(256 * noise * [0, 0, 1], tf.uint8), view

    def distort(self, crop_a, crop_b, seed, part=(0, 1)):
        batch = crop_a.shape[0]
        seeds = tf.broadcast_to(tf.cast(seed, tf.float32), (batch, 2))
        noise = self._noise(seed, batch, part)
        return tf.cast(crop_a, tf.float32), tf.concat([seeds, noise], 1)

    def __call__(self, images, seed, part=(0, 1)):
        return self.distort(*self.crop(images, seed, part), seed, part)

    def _noise(self, seed, batch, part):
        index, parts = part
        noise = tf.random.stateless_uniform((batch * parts, 1), seed)
        return noise[index * batch : (index + 1) * batch]
