"""What the pretrained network makes of views: embeddings, and the held-out loss."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from bt_keras import data, losses
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.label_subsets import take_subset
from bt_keras.progress_bar import track

# Rows of features that pass through the projector at once.
_ROWS = 4096


def embeddings(frozen: FrozenBackbone, features: np.ndarray) -> np.ndarray:
    """Passes features through the projector.

    Args:
        frozen: `FrozenBackbone` whose `pretext` has a projector.
        features: Float array (N, F).

    Returns:
        float32 array (N, D).
    """
    starts = range(0, len(features), _ROWS)
    parts = (features[start : start + _ROWS].astype("float32") for start in starts)
    project = tf.function(frozen.pretext.project, reduce_retracing=True)
    return np.concatenate([project(tf.constant(part)).numpy() for part in parts])


def of_views(frozen: FrozenBackbone, images: int, augmentations: int) -> np.ndarray:
    """Computes embeddings, or features without a projector, of many views of images.

    Args:
        frozen: `FrozenBackbone` with a `pretext`.
        images: Integer > 0, training images, evenly spaced in file order.
        augmentations: Integer > 0, views of each image, half of either kind.

    Returns:
        float32 array (images, augmentations, D).
    """
    pretext, source = frozen.pretext, frozen.train_source
    spaced = np.arange(images) * source.num_images // images
    chosen = take_subset(source, spaced)

    def views(number, image):
        # Image by image: they may have different sizes.
        copies = tf.tile(image[tf.newaxis], [-(-augmentations // 2), 1, 1, 1])
        seed = tf.stack([tf.constant(pretext.seed, tf.int64), number])
        pair = tf.stack(pretext.views(copies, seed=seed), axis=1)
        return tf.reshape(pair, [-1, *pair.shape[2:]])[:augmentations]

    in_order = chosen.dataset().enumerate()
    dataset = in_order.map(
        lambda number, example: views(number, example[0]), tf.data.AUTOTUNE
    )
    outputs, rows = _outputs(frozen), None
    batches = track(dataset.prefetch(2), "views of images", images, "image")
    for number, batch in enumerate(batches):
        of_image = outputs(batch).numpy()
        if rows is None:  # Gigabytes, which are not held twice.
            rows = np.empty((images, *of_image.shape), np.float32)
        rows[number] = of_image
    return rows


def held_out_loss(frozen: FrozenBackbone, batch_size: int) -> tuple[float, int]:
    """Computes the loss of the test images on fixed views, in evaluation mode.

    Args:
        frozen: `FrozenBackbone` whose `pretext` has a projector.
        batch_size: Integer, at least 2; a remainder of the images is not used.

    Returns:
        `(loss, D)`: the mean over the batches, and the width of the embeddings.
    """
    pretext, source = frozen.pretext, frozen.test_source
    pairs = data.pairs(
        source, pretext.views, batch_size, pretext.seed, fixed_views=True
    )
    outputs, values, width = _outputs(frozen), [], 0
    total = source.steps_per_epoch(batch_size)
    for pair in track(pairs, "loss of held-out images", total):
        z_a, z_b = map(outputs, pair)
        values.append(float(losses.barlow_twins_loss(z_a, z_b, pretext.lambd)))
        width = int(z_a.shape[-1])
    return float(np.mean(values)), width


def _outputs(frozen):
    """Returns the function from images to embeddings, or features if there are none."""
    pretext = frozen.pretext
    if pretext.projector is None:
        return frozen.features

    @tf.function(reduce_retracing=True)
    def outputs(images):
        return pretext.project(frozen.features(images))

    return outputs
