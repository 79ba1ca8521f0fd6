"""Trains a detector and judges it."""

import contextlib
import warnings

import keras
import tensorflow as tf

from examples.detection import coco, datasets, model


def train(module, pretrained, detections, seed, settings):
    """Trains a RetinaNet.

    Args:
        module: str, the exported backbone's handle.
        pretrained: bool, whether to begin with its weights.
        detections: `datasets.Detections` to train on.
        seed: int, of the new weights and of the order of the images.
        settings: dict with `size`, the sides of the images in pixels, `steps`,
            `batch_size` and `learning_rate`.

    Returns:
        (`keras_cv.models.RetinaNet`, list of float: the losses of each tenth of the
        steps).
    """
    keras.utils.set_random_seed(seed)
    num_classes, steps = len(detections.class_names), settings["steps"]
    detector = model.retinanet(module, num_classes, settings["size"], pretrained)
    _compile(detector, steps, settings["learning_rate"])
    tenths = min(10, steps)
    with _as_keras_cv_calls():
        history = detector.fit(
            datasets.training_batches(detections, settings["batch_size"], seed),
            epochs=tenths,
            steps_per_epoch=steps // tenths,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=_tell(tenths))],
            shuffle=False,  # They are shuffled.
            verbose=0,
        )
    return detector, history.history["loss"]


def _compile(detector, steps, peak):
    """Adam with a warm-up and a cosine down to zero, and keras-cv's two losses."""
    warmup = max(1, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, steps - warmup),
        warmup_target=peak,
        warmup_steps=warmup,
    )
    detector.compile(
        classification_loss="focal",
        box_loss="smoothl1",
        optimizer=keras.optimizers.Adam(rate, global_clipnorm=10.0),
        jit_compile=False,  # XLA's convolutions are slow on a CPU.
    )
    # Built in the first step, its variables would have TensorFlow trace that twice.
    detector.optimizer.build(detector.trainable_variables)


def _tell(parts):
    def tell(part, logs):
        print(f"  {part + 1}/{parts}: loss {logs['loss']:.3f}", flush=True)

    return tell


@contextlib.contextmanager
def _as_keras_cv_calls():
    """keras-cv 0.9 calls its model on a tensor where Keras 3 expects a dict of one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The structure of `inputs`")
        yield


def judge(detector, detections, batch_size=50):
    """Computes a detector's average precision.

    Args:
        detector: `keras_cv.models.RetinaNet`.
        detections: `datasets.Detections`.
        batch_size: int.

    Returns:
        dict, see `coco.average_precision`.
    """

    @tf.function
    def detect(images):
        return detector.decode_predictions(
            detector({"images": images}, training=False), images
        )

    truths, found = [], []
    nothing = datasets.NOTHING
    padding = {"boxes": nothing, "classes": nothing, "crowd": False, "image": None}
    for batch in detections.dataset.padded_batch(batch_size, padding_values=padding):
        truths += _unpadded(batch, ("boxes", "classes", "crowd"))
        found += _unpadded(
            detect(datasets.scaled(batch["image"])), ("boxes", "classes", "confidence")
        )
    return coco.average_precision(truths, found)


def _unpadded(batch, names):
    """A dict of arrays for each image, without the padding, whose class is -1."""
    columns = {name: batch[name].numpy() for name in names}
    for row in range(len(columns["classes"])):
        there = columns["classes"][row] >= 0
        yield {name: column[row][there] for name, column in columns.items()}
