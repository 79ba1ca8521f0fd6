"""Runs images through an exported module with TensorFlow Hub and nothing of ours.

`python reload_module.py MODULE IMAGES.npy FEATURES.npy`; `bt_keras.hub` starts it as a
file of its own, so that a module that leans on bt_keras cannot load here.
"""

import sys

# Python puts this file's folder first: nothing of ours shall be importable here.
sys.path.pop(0)

import numpy as np
import tensorflow_hub as hub


def main(module, images, features):
    np.save(features, hub.load(module)(np.load(images), training=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
