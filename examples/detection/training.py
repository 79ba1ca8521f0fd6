"""Trains and evaluates a detector."""

import contextlib
import warnings

import keras
import tensorflow as tf

from examples.detection import coco, datasets, model


def train(module, pretrained, detections, seed, settings):
    """Trains a RetinaNet.

    Args:
        module: String, handle of the exported backbone.
        pretrained: Boolean, whether to start from its weights.
        detections: `datasets.Detections`, the training data.
        seed: Integer, for the initial weights and the order of the images.
        settings: Dict with `size`, the side of the images in pixels, `steps`,
            `batch_size` and `learning_rate`.

    Returns:
        `(detector, losses)`: `keras_cv.models.RetinaNet`, and list of float, the loss
        in each tenth of the steps.
    """
    keras.utils.set_random_seed(seed)
    num_classes, steps = len(detections.class_names), settings["steps"]
    detector = model.retinanet(module, num_classes, settings["size"], pretrained)
    _compile(detector, steps, settings["learning_rate"])
    tenths = min(10, steps)
    with _ignore_structure_warning():
        history = detector.fit(
            datasets.training_batches(detections, settings["batch_size"], seed),
            epochs=tenths,
            steps_per_epoch=steps // tenths,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=_print_loss(tenths))
            ],
            shuffle=False,  # The dataset is shuffled.
            verbose=0,
        )
    return detector, history.history["loss"]


def _compile(detector, steps, peak):
    """Compiles with Adam, warmup, cosine decay to zero and keras-cv's two losses."""
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
    # Otherwise, TensorFlow would trace the first step twice to create its variables.
    detector.optimizer.build(detector.trainable_variables)


def _print_loss(parts):
    def on_epoch_end(part, logs):
        print(f"  {part + 1}/{parts}: loss {logs['loss']:.3f}", flush=True)

    return on_epoch_end


@contextlib.contextmanager
def _ignore_structure_warning():
    """keras-cv 0.9 calls its model with a tensor, but Keras 3 expects a dict."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The structure of `inputs`")
        yield


def evaluate(detector, detections, batch_size=50):
    """Computes a detector's average precision.

    Args:
        detector: `keras_cv.models.RetinaNet`.
        detections: `datasets.Detections`, the test data.
        batch_size: Integer. Defaults to `50`.

    Returns:
        Dict as from `coco.average_precision`.
    """

    @tf.function
    def detect(images):
        return detector.decode_predictions(
            detector({"images": images}, training=False), images
        )

    truths, found = [], []
    pad = datasets.PADDING
    padding = {"boxes": pad, "classes": pad, "crowd": False, "image": None}
    for batch in detections.dataset.padded_batch(batch_size, padding_values=padding):
        truths += _unpadded(batch, ("boxes", "classes", "crowd"))
        found += _unpadded(
            detect(datasets.scaled(batch["image"])), ("boxes", "classes", "confidence")
        )
    return coco.average_precision(truths, found)


def _unpadded(batch, names):
    """Yields a dict of arrays for each image, without padding (class -1)."""
    columns = {name: batch[name].numpy() for name in names}
    for row in range(len(columns["classes"])):
        is_object = columns["classes"][row] >= 0
        yield {name: column[row][is_object] for name, column in columns.items()}
