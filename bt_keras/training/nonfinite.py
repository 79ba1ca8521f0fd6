"""Detect a non-finite loss and suggest fixes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation import finish_crops
from bt_keras.checkpoint.callbacks import ProgressTracker
from bt_keras.checkpoint.progress import Progress
from bt_keras.data.pairs import split_labels
from bt_keras.model.barlow_twins import BarlowTwins

_HINTS = (
    "Suggested fixes: a lower config.optimizer.learning_rate, a longer "
    "config.optimizer.warmup_epochs, or float32 or mixed_bfloat16 instead of "
    "mixed_float16, in another --workdir"
)
# Images per forward pass; the outputs of all layers are in memory at once.
_SLICE = 32


class NonFiniteError(Exception):
    """Raised if the loss or a gradient of a step is non-finite.

    Args:
        before: `Progress` before the execution with that step.
        after: `Progress` after it, one step later with `steps_per_execution=1`.
    """

    def __init__(self, before: Progress, after: Progress):
        super().__init__()
        self.before = before
        self.after = after

    @property
    def batches(self) -> range:
        """Range, the numbers of the batches of that execution."""
        return range(self.before.batch, self.after.batch)

    def describe(
        self, learning_rate: float, activation: tuple[str, float] | None
    ) -> str:
        """Describes the step in one line and suggests fixes.

        Args:
            learning_rate: Float, the learning rate of that step.
            activation: `(layer, value)` from `largest_activation`, or `None`.

        Returns:
            String for the user.
        """
        first, last = self.before.step + 1, self.after.step
        steps = (
            f"step {last}" if first == last else f"one of the steps {first} to {last}"
        )
        largest = "could not be computed"
        if activation:
            largest = f"is {activation[1]:.4g}, in layer {activation[0]}"
        return (
            f"the loss or a gradient is non-finite in {steps} (epoch "
            f"{self.before.epoch + 1}), at a learning rate of {learning_rate:.4g}; the "
            f"largest activation {largest}. {_HINTS}"
        )


class NonFiniteWatch(keras.callbacks.Callback):
    """Raises `NonFiniteError` from `fit` as soon as the loss is non-finite.

    Args:
        tracker: `ProgressTracker` of the same `fit`, earlier in its callbacks.
    """

    def __init__(self, tracker: ProgressTracker):
        super().__init__()
        self._tracker = tracker
        self._before = tracker.progress

    def on_train_batch_end(self, batch, logs=None):
        # The epoch's mean stays non-finite after one non-finite step.
        if not math.isfinite(float(logs["loss"])):
            raise NonFiniteError(self._before, self._tracker.progress)
        self._before = self._tracker.progress


def largest_activation(
    model: BarlowTwins, batches: Iterable[tuple]
) -> tuple[str, float]:
    """Finds the largest layer output in training mode.

    The images pass through the network in slices, which are the batches of batch
    norm; its moving statistics are updated.

    Args:
        model: `bt_keras.BarlowTwins`.
        batches: Iterable of `(view_a, view_b)`, which may be `Crops`, or of
            `((view_a, view_b), label)`.

    Returns:
        `(layer, value)`: the name of a layer and the largest absolute value of its
        output. If there are non-finite outputs, the first layer that has one.
    """
    largest = ("none", 0.0)
    for batch in map(finish_crops, batches):
        views, _ = split_labels(batch)
        for view in views:
            slices = [view[i : i + _SLICE] for i in range(0, len(view), _SLICE)]
            for images in slices:
                for layer, value in _activations(model, images):
                    if not math.isfinite(value):
                        return layer, value
                    largest = max(largest, (layer, value), key=lambda found: found[1])
    return largest


def _activations(model: BarlowTwins, images: tf.Tensor) -> Iterator[tuple[str, float]]:
    """Yields the name and the largest absolute output of every layer, in order."""
    x = images
    for part in (model.backbone, model.projector):
        layers = _inner_layers(part)
        if layers:
            outputs = [layer.output for layer in layers]
            all_outputs = keras.Model(part.inputs[0], outputs)
            # Keras returns a single output without a list.
            outputs = tf.nest.flatten(all_outputs(x, training=True))
        else:
            layers, outputs = [part], [part(x, training=True)]
        for layer, output in zip(layers, outputs, strict=True):
            yield layer.name, float(np.max(np.abs(tf.cast(output, tf.float32))))
        x = outputs[-1]


def _inner_layers(part: keras.Model) -> list[keras.Layer]:
    """Returns the layers with known outputs; none for a subclass of `keras.Model`."""
    if getattr(part, "inputs", None) is None:
        return []
    return [
        layer
        for layer in part.layers
        if not isinstance(layer, keras.layers.InputLayer)
        and isinstance(getattr(layer, "output", None), keras.KerasTensor)
    ]
