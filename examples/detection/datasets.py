"""Images with boxes: made from the shipped images, or from TensorFlow Datasets."""

import dataclasses
import os

import tensorflow as tf

import bt_keras
from bt_keras import data
from bt_keras.data.tfds_source import find_directory
from examples.detection import canvases

# The value of padded boxes and classes. keras-cv ignores boxes of this class.
PADDING = -1.0


@dataclasses.dataclass(frozen=True)
class Detections:
    """Images of one size and the boxes of the objects in them.

    Args:
        dataset: `tf.data.Dataset` of dicts: `image` uint8 (size, size, 3), `boxes`
            float32 (M, 4), xyxy in pixels, `classes` float32 (M,), and `crowd` bool
            (M,), which marks boxes to ignore in training and evaluation.
        count: Integer, number of images.
        class_names: Tuple of str.
    """

    dataset: tf.data.Dataset
    count: int
    class_names: tuple


def load(name, part, seed, settings):
    """Loads training or test data.

    Args:
        name: String, `"shipped"`, `"tfds:NAME"` or a folder in TFDS format.
        part: `"train"` or `"test"`.
        seed: Integer, for the canvases of the shipped images. Other images do not
            depend on it.
        settings: Dict with `size` and, for this part, `train_split` and `train_images`
            or `test_split` and `test_images`.

    Returns:
        `Detections`.
    """
    split, count = settings[f"{part}_split"], settings[f"{part}_images"]
    if name == "shipped":
        # For every seed, the test canvases differ from the training canvases.
        return shipped(split, settings["size"], count, (seed, part == "test"))
    return from_tfds(name, split, settings["size"], count)


def shipped(split, size, count, seed):
    """Makes canvases with the shipped images as objects.

    Args:
        split: String, the split of the pasted images: `"train"`, `"test"` or a part.
        size: Integer, side of a canvas in pixels.
        count: Integer, number of canvases.
        seed: Integer or tuple of ints.

    Returns:
        `Detections`.
    """
    source = data.load("shipped", split)
    images, labels = next(source.dataset().batch(source.num_images).as_numpy_iterator())
    made, boxes, classes = canvases.make(images, labels, count, size, seed)

    def record(image, boxes, classes):
        is_object = classes >= 0
        return {
            "image": image,
            "boxes": boxes[is_object],
            "classes": classes[is_object],
            "crowd": tf.zeros_like(classes[is_object], tf.bool),
        }

    dataset = tf.data.Dataset.from_tensor_slices((made, boxes, classes)).map(record)
    return Detections(dataset, count, source.class_names)


def from_tfds(name, split, size, count=None):
    """Loads a data set with the features of VOC or COCO.

    Args:
        name: String, `"tfds:NAME"`, downloaded on first use, such as
            `"tfds:voc/2007"` or `"tfds:coco/2017"`, or a folder in TFDS format.
        split: String, a TFDS split or a part of one, such as `"train[:500]"`.
        size: Integer, side in pixels of the squares to which images are resized.
        count: Integer, number of images to use. Defaults to `None`: all.

    Returns:
        `Detections`.

    Raises:
        bt_keras.UsageError: If there is no such data set or split, or it has no boxes.
    """
    # This raises a one-line error if the data cannot be loaded.
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
            f"{name!r} has no boxes: --data requires a data set with the feature "
            "'objects' with 'bbox' and 'label', such as voc or coco."
        )
    read = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)
    count = min(count or source.num_images, source.num_images)
    dataset = builder.as_dataset(split, read_config=read).take(count)
    dataset = dataset.map(lambda example: _resized(example, size), tf.data.AUTOTUNE)
    return Detections(dataset, count, class_names)


def _builder(name):
    """Returns the TFDS builder, None for a folder in another format."""
    import tensorflow_datasets as tfds

    if name.startswith("tfds:"):
        return tfds.builder(name.removeprefix("tfds:"))
    folder = find_directory(os.path.expanduser(name))
    return tfds.builder_from_directory(folder) if folder else None


def _resized(example, size):
    """Converts a TFDS example, whose boxes are relative yxyx, to a `Detections` one."""
    objects = example["objects"]
    crowd = tf.zeros_like(objects["label"], tf.bool)
    # COCO marks groups of objects, VOC objects that are difficult to recognize.
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
    """Scales uint8 images to [0, 1], as exported backbones expect them."""
    return tf.cast(image, tf.float32) / 255.0


def training_batches(detections, batch_size, seed):
    """Makes endless, shuffled and flipped batches for keras-cv's detectors.

    Args:
        detections: `Detections`.
        batch_size: Integer, images per batch.
        seed: Integer, for the order of the images.

    Returns:
        `tf.data.Dataset` of (images, {"boxes", "classes"}), padded with -1.
    """

    def example(record):
        keep = ~record["crowd"]
        boxes, classes = record["boxes"][keep], record["classes"][keep]
        return record["image"], {"boxes": boxes, "classes": classes}

    def augment(image, labels):
        image, labels = _random_flip(image, labels)
        # keras-cv requires at least one box per batch.
        pad = {"boxes": [[0, 1], [0, 0]], "classes": [[0, 1]]}
        labels = {
            n: tf.pad(x, pad[n], constant_values=PADDING) for n, x in labels.items()
        }
        return scaled(image), labels

    return (
        detections.dataset.map(example, tf.data.AUTOTUNE)
        .shuffle(min(detections.count, 1000), seed=seed)
        .repeat()
        .map(augment)
        .padded_batch(
            batch_size,
            padding_values=(0.0, {"boxes": PADDING, "classes": PADDING}),
        )
        .prefetch(2)
    )


def _random_flip(image, labels):
    """Flips an image and its boxes horizontally with probability 0.5."""
    if tf.random.uniform(()) < 0.5:
        x1, y1, x2, y2 = tf.unstack(labels["boxes"], axis=-1)
        width = tf.cast(tf.shape(image)[1], tf.float32)
        boxes = tf.stack([width - x2, y1, width - x1, y2], axis=-1)
        return image[:, ::-1], {**labels, "boxes": boxes}
    return image, labels
