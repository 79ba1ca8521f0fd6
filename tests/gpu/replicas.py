"""Trains on logical devices: `python -m tests.gpu.replicas COUNT FILE.npz`.

A program of its own, because a device is divided before TensorFlow starts, and a
process can have only one strategy with TensorFlow's own choice of collectives.
"""

import contextlib
import sys

import numpy as np
import tensorflow as tf

from tests.gpu import card, steps


def main(count, path):
    names = card.split(int(count))
    tf.config.experimental.enable_tensor_float_32_execution(False)
    paths = contextlib.nullcontext()
    if card.is_pretended():
        paths = card.pretend(lambda: tf.config.list_logical_devices("CPU"))
    with paths:
        strategy = tf.distribute.MirroredStrategy(names)
        losses, changes = steps.trained(strategy=strategy)
    reduction = type(strategy.extended._get_cross_device_ops(tf.zeros(()))).__name__
    np.savez(path, losses, *changes, reduction=reduction)


if __name__ == "__main__":
    main(*sys.argv[1:])
