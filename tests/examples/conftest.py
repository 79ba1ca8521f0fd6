"""A small exported backbone and data set, on which a detector trains in seconds."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.networks import BatchNormalization

_NAMES = ("cat", "dog", "person")


@pytest.fixture(scope="session")
def module(tmp_path_factory):
    """Folder (str) of an exported network with feature maps of strides 2 to 32."""
    keras.utils.set_random_seed(1)
    inputs = x = keras.Input((None, None, 3))
    for channels in (4, 4, 8, 8, 8):
        x = keras.layers.Conv2D(channels, 3, 2, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(BatchNormalization()(x))
    backbone = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    folder = tmp_path_factory.mktemp("examples") / "module"
    bt_keras.export_backbone(backbone, folder, image_size=32)
    return str(folder)


@pytest.fixture(scope="session")
def voc(tmp_path_factory):
    """Folder of a TFDS data set with VOC's features: bright boxes on black."""
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
        "image/filename": tfds.features.Text(),
        "objects": tfds.features.Sequence(
            {
                "label": tfds.features.ClassLabel(names=_NAMES),
                "bbox": tfds.features.BBoxFeature(),
                "pose": tfds.features.ClassLabel(names=["left", "right"]),
                "is_truncated": tf.bool,
                "is_difficult": tf.bool,
            }
        ),
        "labels": tfds.features.Sequence(tfds.features.ClassLabel(names=_NAMES)),
    }

    folder = tmp_path_factory.mktemp("tfds")
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_voc",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            "train": [(i, _voc_example(i)) for i in range(6)],
            "validation": [(i, _voc_example(i + 1)) for i in range(3)],
        },
        data_dir=str(folder),
        disable_shuffling=True,
    )
    return str(folder / "tiny_voc" / "1.0.0")


def _voc_example(number):
    """An image with zero to two objects, of which the second is difficult."""
    import tensorflow_datasets as tfds

    height, width = 80 + 10 * number, 120
    image = np.zeros((height, width, 3), np.uint8)
    objects = []
    # Each object is a quarter of the image, on the left.
    for label in range(number % 3):
        top = label * height // 2
        image[top : top + height // 2, : width // 2] = 200
        box = tfds.features.BBox(
            ymin=top / height, xmin=0.0, ymax=top / height + 0.5, xmax=0.5
        )
        objects.append(
            {
                "label": label,
                "bbox": box,
                "pose": 0,
                "is_truncated": False,
                "is_difficult": label == 1,
            }
        )
    return {
        "image": image,
        "image/filename": f"{number}.png",
        "objects": objects,
        "labels": sorted({o["label"] for o in objects}),
    }
