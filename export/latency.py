"""How long a backbone takes for its features on this machine."""

from __future__ import annotations

import time

import keras
import tensorflow as tf

from benchmarks import machine

_BATCHES = (1, 64)
_SECONDS = 5.0
_WARM_UP = 5


def measure(backbone: keras.Model, size: int, channels: int) -> dict[str, float]:
    """Measures calls of a backbone as a `tf.function`, in inference.

    Args:
        backbone: `keras.Model` from images (N, H, W, C) to features.
        size: Integer, side of the images in pixels.
        channels: Integer.

    Returns:
        Dict from the number of images in a batch, as a string, to the milliseconds of
        the fastest call: other programs only make calls slower.
    """
    return {str(n): _fastest(backbone, (n, size, size, channels)) for n in _BATCHES}


def lines(milliseconds: dict[str, float], size: int) -> list[str]:
    """Describes what `measure` returned, one line for each batch."""
    return [
        f"a batch of {batch} ({size} x {size} pixels): {value:.1f} ms on "
        f"{machine.summary()}, TensorFlow {tf.__version__}, float32"
        for batch, value in milliseconds.items()
    ]


def _fastest(backbone, shape):
    call = tf.function(lambda images: backbone(images, training=False))
    images = tf.random.stateless_uniform(shape, (0, 0))
    for _ in range(_WARM_UP):
        call(images).numpy()
    times, end = [], time.perf_counter() + _SECONDS
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call(images).numpy()
        times.append(time.perf_counter() - start)
    return round(1000 * min(times), 3)
