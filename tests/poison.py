"""Views of a run that are not finite in some batches."""

import numpy as np
import tensorflow as tf

from bt_keras.training import setup


def make_views(steps):
    """Returns a `setup.make_views` whose views of the batches `steps` are infinite."""
    make = setup.make_views

    def poisoned(*args, **kwargs):
        views = make(*args, **kwargs)

        class Poisoned(type(views)):
            def __call__(self, images, seed, shard=(0, 1)):
                step = tf.cast(tf.convert_to_tensor(seed)[1], tf.int64)
                bad = tf.reduce_any(step == tf.constant(steps, tf.int64))
                pair = super().__call__(images, seed, shard)
                return tuple(tf.where(bad, np.inf, view) for view in pair)

        views.__class__ = Poisoned
        return views

    return poisoned
