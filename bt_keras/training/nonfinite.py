"""A loss that is not finite: noticed at once, and told with what helps to mend it."""

import math

import keras
import numpy as np
import tensorflow as tf

_HINTS = (
    "What usually helps: a lower config.optimizer.learning_rate, a longer "
    "config.optimizer.warmup_epochs, and float32 or mixed_bfloat16 in place of "
    "mixed_float16, in another --workdir"
)
# All layers' outputs of so many images are held at once.
_ROWS = 32


class NonFiniteError(Exception):
    """The loss or a gradient of a step was not finite.

    Args:
        before: `Progress` before the execution it happened in.
        after: `Progress` after it, one step later with `steps_per_execution=1`.
    """

    def __init__(self, before, after):
        super().__init__()
        self.before = before
        self.after = after

    @property
    def batches(self):
        """range, the numbers of the batches it can have been."""
        return range(self.before.batch, self.after.batch)

    def describe(self, learning_rate, activation):
        """Returns str, one line for the user.

        Args:
            learning_rate: float, of that step.
            activation: `(layer, value)` of `largest_activation`, or None.
        """
        first, last = self.before.step + 1, self.after.step
        steps = (
            f"step {last}" if first == last else f"one of the steps {first} to {last}"
        )
        largest = "could not be found"
        if activation:
            largest = f"is {activation[1]:.4g}, of layer {activation[0]}"
        return (
            f"the loss or a gradient is not finite in {steps} (epoch "
            f"{self.before.epoch + 1}), at a learning rate of {learning_rate:.4g}; the "
            f"largest activation {largest}. {_HINTS}"
        )


class NonFiniteWatch(keras.callbacks.Callback):
    """Ends `fit` by a `NonFiniteError` as soon as the loss is not finite.

    Args:
        tracker: `ProgressTracker` of the same `fit`, before this in the callbacks.
    """

    def __init__(self, tracker):
        super().__init__()
        self._tracker = tracker
        self._before = tracker.progress

    def on_train_batch_end(self, batch, logs=None):
        # The mean over the epoch so far: one such step, and it stays not finite.
        if not math.isfinite(float(logs["loss"])):
            raise NonFiniteError(self._before, self._tracker.progress)
        self._before = self._tracker.progress


def largest_activation(model, batches):
    """Finds the largest output of any layer in training mode.

    The images go through in slices, which is what batch norm sees; its moving
    statistics change by it.

    Args:
        model: `bt_keras.BarlowTwins`.
        batches: iterable of `(view_a, view_b)`.

    Returns:
        `(layer, value)`: the layer's name and the largest absolute value of its
        output; of the first layer with a value that is not finite, if there is one.
    """
    largest = ("none", 0.0)
    for views in batches:
        for view in views:
            slices = [view[i : i + _ROWS] for i in range(0, len(view), _ROWS)]
            for images in slices:
                for layer, value in _activations(model, images):
                    if not math.isfinite(value):
                        return layer, value
                    largest = max(largest, (layer, value), key=lambda found: found[1])
    return largest


def _activations(model, images):
    """Yields every layer's name and largest absolute output, in order."""
    x = images
    for part in (model.backbone, model.projector):
        layers = _inner_layers(part)
        if layers:
            outputs = [layer.output for layer in layers]
            see_all = keras.Model(part.inputs[0], outputs)
            # Of a single layer Keras returns no list.
            outputs = tf.nest.flatten(see_all(x, training=True))
        else:
            layers, outputs = [part], [part(x, training=True)]
        for layer, output in zip(layers, outputs, strict=True):
            yield layer.name, float(np.max(np.abs(tf.cast(output, tf.float32))))
        x = outputs[-1]


def _inner_layers(part):
    """The layers whose outputs can be seen: none of a subclass of `keras.Model`."""
    if getattr(part, "inputs", None) is None:
        return []
    return [
        layer
        for layer in part.layers
        if not isinstance(layer, keras.layers.InputLayer)
        and isinstance(getattr(layer, "output", None), keras.KerasTensor)
    ]
