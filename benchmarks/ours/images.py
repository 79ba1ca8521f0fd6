"""Writes the images of a data set as one array, for the peers.

python -m benchmarks.ours.images SOURCE SPLIT FILE.npy
"""

import sys

import numpy as np

from bt_keras.data import load


def main():
    source, split, file = sys.argv[1:]
    images = load(source, split).dataset()
    np.save(file, np.stack([image for image, _ in images.as_numpy_iterator()]))


if __name__ == "__main__":
    main()
