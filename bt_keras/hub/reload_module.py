"""Runs images through an exported module with TensorFlow Hub and nothing of ours.

`python reload_module.py MODULE IMAGES.npy FEATURES.npy`; `bt_keras.hub` starts it as a
file of its own, in a process that never imports bt_keras.
"""

import sys

import numpy as np
import tensorflow_hub as hub


def main(module, images, features):
    assert "bt_keras" not in sys.modules
    np.save(features, hub.load(module)(np.load(images), training=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
