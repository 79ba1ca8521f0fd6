"""Pictures of several shipped images side by side, with the labels of all of them."""

import numpy as np
import tensorflow_datasets as tfds

from bt_keras import data
from bt_keras.data.shipped.make import CLASS_NAMES

SIDE = 28


def pictures(split, count, seed):
    """Returns pictures (count, 28, 56, 3) of two images, and their labels."""
    source = data.load("shipped", split)
    pixels = source.images.numpy()
    labels = np.array([int(label) for _, label in source.dataset()])
    pairs = np.random.default_rng(seed).integers(0, len(labels), (count, 2))
    return np.concatenate(pixels[pairs].transpose(1, 0, 2, 3, 4), axis=2), labels[pairs]


def write(folder, counts, difficult=False):
    """Writes a TFDS data set in which each picture has the labels that occur.

    With `difficult`, the label of the right image is uncertain: VOC has such labels in
    `labels` and not in `labels_no_difficult`.
    """
    classes = tfds.features.Sequence(tfds.features.ClassLabel(names=CLASS_NAMES))
    features = {
        "image": tfds.features.Image(shape=(SIDE, 2 * SIDE, 3), encoding_format="png"),
        "labels": classes,
    }
    if difficult:
        features["labels_no_difficult"] = classes

    def examples(split, count):
        for number, (image, labels) in enumerate(
            zip(*pictures(split, count, seed=len(split)), strict=True)
        ):
            example = {"image": image, "labels": sorted(set(labels.tolist()))}
            if difficult:
                example["labels_no_difficult"] = [int(labels[0])]
            yield number, example

    tfds.dataset_builders.store_as_tfds_dataset(
        name="pictures",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: list(examples(split, n)) for split, n in counts.items()},
        data_dir=folder,
        disable_shuffling=True,
    )
    return folder / "pictures"
