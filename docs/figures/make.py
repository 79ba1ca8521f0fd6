"""Draws docs/figures/views.png: shipped images and the two views that training sees.

python docs/figures/make.py

The other picture, label_shares.png, is written by `bt-keras evaluate --plot`; see
docs/evaluation.md.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import bt_keras
import bt_keras.data

# ImageNet's, which `bt_keras.views` subtracts and divides by.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
COLUMNS = 9


def shipped_images(count):
    """Returns the first `count` shipped images, uint8 `(count, 28, 28, 3)`."""
    source = bt_keras.data.load("shipped")
    return np.stack([image.numpy() for image, _ in source.dataset().take(count)])


def main():
    images = shipped_images(COLUMNS)
    pair = bt_keras.views(56, "small")(images, seed=(0, 0))
    views = [np.clip(view.numpy() * STD + MEAN, 0, 1) for view in pair]

    figure = Figure(figsize=(9, 3.1), layout="constrained")
    axes = figure.subplots(3, COLUMNS)
    rows = {"image": images, "view A": views[0], "view B": views[1]}
    for line, (name, row) in zip(axes, rows.items(), strict=True):
        for cell, image in zip(line, row, strict=True):
            cell.imshow(image, interpolation="nearest")
            cell.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    figure.savefig(Path(__file__).with_name("views.png"), dpi=120)


if __name__ == "__main__":
    main()
