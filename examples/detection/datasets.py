"""Images with boxes: from the shipped images, or from TensorFlow Datasets."""

import dataclasses
import os

import tensorflow as tf

import bt_keras
from bt_keras import data
from bt_keras.data.tfds_source import find_directory
from examples.detection import canvases

# What a record's padding holds; keras-cv passes over boxes of this class.
NOTHING = -1.0


@dataclasses.dataclass(frozen=True)
class Detections:
    """Images of one size and the boxes of what is in them.

    Args:
        dataset: `tf.data.Dataset` of dicts: `image` uint8 (size, size, 3), `boxes`
            float32 (M, 4), xyxy in pixels, `classes` float32 (M,), and `crowd` bool
            (M,), boxes that are neither trained on nor asked for.
        count: int, how many images.
        class_names: tuple of str.
    """

    dataset: tf.data.Dataset
    count: int
    class_names: tuple


def load(name, part, seed, settings):
    """Loads images to train or to test on.

    Args:
        name: str, "shipped", "tfds:NAME" or the folder of a data set in TFDS format.
        part: "train" or "test".
        seed: int, of the shipped images' canvases; other images do not depend on it.
        settings: dict with `size` and, for this part, `train_split` and `train_images`
            or `test_split` and `test_images`.

    Returns:
        Detections.
    """
    split, count = settings[f"{part}_split"], settings[f"{part}_images"]
    if name == "shipped":
        # No seed gives the test the canvases of a training.
        return shipped(split, settings["size"], count, (seed, part == "test"))
    return from_tfds(name, split, settings["size"], count)


def shipped(split, size, count, seed):
    """Canvases with objects of the shipped images.

    Args:
        split: str, whose images are pasted: "train", "test" or a part of one.
        size: int, the canvas's sides in pixels.
        count: int, how many canvases.
        seed: int or ints.

    Returns:
        Detections.
    """
    source = data.load("shipped", split)
    images, labels = next(source.dataset().batch(source.num_images).as_numpy_iterator())
    made, boxes, classes = canvases.make(images, labels, count, size, seed)

    def record(image, boxes, classes):
        there = classes >= 0
        return {
            "image": image,
            "boxes": boxes[there],
            "classes": classes[there],
            "crowd": tf.zeros_like(classes[there], tf.bool),
        }

    dataset = tf.data.Dataset.from_tensor_slices((made, boxes, classes)).map(record)
    return Detections(dataset, count, source.class_names)


def from_tfds(name, split, size, count=None):
    """A data set with VOC's or COCO's features.

    Args:
        name: str, "tfds:NAME", downloaded on first use, such as "tfds:voc/2007" and
            "tfds:coco/2017", or the folder of a data set in TFDS format.
        split: str, a TFDS split or a part of one, such as "train[:500]".
        size: int. Images are resized to squares of this side in pixels.
        count: int, to take only so many, the first; None for all.

    Returns:
        Detections.

    Raises:
        bt_keras.UsageError: if there is no such data set or split, or it has no boxes.
    """
    # What cannot be loaded is told in one line by the library's own loading.
    source = data.load(name, split)
    import tensorflow_datasets as tfds

    builder = _builder(name)
    try:
        objects = builder.info.features["objects"]
        boxed = isinstance(objects["bbox"], tfds.features.BBoxFeature)
        class_names = tuple(objects["label"].names)
    except (KeyError, TypeError, AttributeError):
        boxed = False
    if not boxed:
        raise bt_keras.UsageError(
            f"{name!r} has no boxes: --data wants a data set with the feature "
            "'objects', which holds 'bbox' and 'label', as voc and coco have it."
        )
    read = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)
    count = min(count or source.num_images, source.num_images)
    dataset = builder.as_dataset(split, read_config=read).take(count)
    dataset = dataset.map(lambda example: _resized(example, size), tf.data.AUTOTUNE)
    return Detections(dataset, count, class_names)


def _builder(name):
    """TFDS's builder, None for a folder of something else."""
    import tensorflow_datasets as tfds

    if name.startswith("tfds:"):
        return tfds.builder(name.removeprefix("tfds:"))
    folder = find_directory(os.path.expanduser(name))
    return tfds.builder_from_directory(folder) if folder else None


def _resized(example, size):
    """A record of `Detections` from one of TFDS, whose boxes are relative yxyx."""
    objects = example["objects"]
    crowd = tf.zeros_like(objects["label"], tf.bool)
    # COCO marks groups of objects, VOC objects that are hard to recognise.
    for mark in ("is_crowd", "is_difficult"):
        if mark in objects:
            crowd = crowd | objects[mark]
    image = tf.image.resize(example["image"], (size, size), antialias=True)
    return {
        "image": tf.ensure_shape(_rounded(image), (size, size, 3)),
        "boxes": tf.gather(objects["bbox"], [1, 0, 3, 2], axis=-1) * float(size),
        "classes": tf.cast(objects["label"], tf.float32),
        "crowd": crowd,
    }


def _rounded(image):
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


def scaled(image):
    """Brings levels to [0, 1], as exported backbones take images."""
    return tf.cast(image, tf.float32) / 255.0


def training_batches(detections, batch_size, seed):
    """Endless batches as keras-cv's detectors take them, shuffled and mirrored.

    Args:
        detections: Detections.
        batch_size: int.
        seed: int.

    Returns:
        `tf.data.Dataset` of (images, {"boxes", "classes"}), padded with -1.
    """

    def example(record):
        keep = ~record["crowd"]
        boxes, classes = record["boxes"][keep], record["classes"][keep]
        return record["image"], {"boxes": boxes, "classes": classes}

    def finished(image, labels):
        image, labels = _mirrored(image, labels)
        # keras-cv wants at least one box in a batch.
        pad = {"boxes": [[0, 1], [0, 0]], "classes": [[0, 1]]}
        labels = {
            n: tf.pad(x, pad[n], constant_values=NOTHING) for n, x in labels.items()
        }
        return scaled(image), labels

    return (
        detections.dataset.map(example, tf.data.AUTOTUNE)
        .shuffle(min(detections.count, 1000), seed=seed)
        .repeat()
        .map(finished)
        .padded_batch(
            batch_size,
            padding_values=(0.0, {"boxes": NOTHING, "classes": NOTHING}),
        )
        .prefetch(2)
    )


def _mirrored(image, labels):
    """Half of the images, their left and right exchanged."""
    if tf.random.uniform(()) < 0.5:
        x1, y1, x2, y2 = tf.unstack(labels["boxes"], axis=-1)
        width = tf.cast(tf.shape(image)[1], tf.float32)
        boxes = tf.stack([width - x2, y1, width - x1, y2], axis=-1)
        return image[:, ::-1], {**labels, "boxes": boxes}
    return image, labels
