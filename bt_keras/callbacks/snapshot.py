"""Keeps what a monitor looks at, within the graph of some training steps."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from bt_keras import networks
from bt_keras.callbacks import buffers, gradient_sketch
from bt_keras.model.observers import Observer, StepView

# Rows of a replica that are kept, and numbers of a tensor: fewer rows of wide ones.
_ROWS, _LEAST_ROWS, _NUMBERS = 1024, 256, 2**23
_PAIRS = 8  # of views


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A training step as a monitor sees it.

    Args:
        batch: Integer, the rows N of the global batch.
        features: Two float32 arrays (n, F), those of both views, of at most 1,024 rows
            of each replica.
        embeddings: Two float32 arrays (n, D).
        loss: Float, the loss of the global batch.
        redundancy: Float, its redundancy term; NaN for a loss without one.
        weight_norms: float64 array (V,), the norms of the trainable variables.
        gradient_norms: float64 array (V,), those of the gradients of the loss.
        dots: float64 array (V,), the sums of the products of variables and gradients.
        views: Float32 array (2, n, 96, 96, C), the first pairs of views, or `None` if
            they are not images.
    """

    batch: int
    features: tuple[np.ndarray, np.ndarray]
    embeddings: tuple[np.ndarray, np.ndarray]
    loss: float
    redundancy: float
    weight_norms: np.ndarray
    gradient_norms: np.ndarray
    dots: np.ndarray
    views: np.ndarray | None


class StepSnapshots(Observer):
    """Keeps a snapshot of every n-th step, from the first one on.

    Each replica keeps its own rows, without a collective: TensorFlow has none inside a
    condition. `read` joins them. Other steps only count.

    Args:
        every_steps: Integer > 0.
        values: Integer, the numbers that a monitor keeps in the checkpoint.
    """

    def __init__(self, every_steps: int, values: int):
        super().__init__("representation_monitor")
        self._every = every_steps
        self._count = values

    def build(self, model: keras.Model) -> None:
        """Creates the variables, see `Observer.build`."""
        self._strategy = tf.distribute.get_strategy()
        self._replicas = self._strategy.num_replicas_in_sync
        self.steps = buffers.replicated((), "int64", "steps")
        self.values = buffers.replicated((self._count,), "float32", "values")
        self.values.assign(np.full(self._count, np.nan))
        self.variables = [self.steps, self.values]
        # Not stored: rows of the first replica, those since a reading are what counts.
        self._rows = buffers.replicated((), "int64", "rows")
        # Shapes never change: XLA would compile the step again.
        features = networks.feature_dim(model.backbone)
        inputs = keras.KerasTensor((None, features))
        width = model.projector.compute_output_spec(inputs).shape[-1]
        rows = min(_ROWS, max(_LEAST_ROWS, _NUMBERS // max(features, width)))
        self._features = buffers.per_replica((2, rows, features))
        self._embeddings = buffers.per_replica((2, rows, width))
        kept = len(model.trainable_variables)
        self._numbers = buffers.per_replica((3,))  # Rows, loss, redundancy.
        self._norms = buffers.per_replica((kept,))
        self._dots = buffers.per_replica((kept,))
        size = gradient_sketch.WIDTH if self._replicas > 1 else 1
        self._gradients = buffers.per_replica((kept, size))
        bands = _bands(model.backbone)
        shape = (2, _PAIRS, buffers.SIDE, buffers.SIDE, bands)
        self._views = buffers.per_replica(shape) if bands else None
        self._gather = buffers.gatherer(
            self._strategy,
            [
                *(self._numbers, self._features, self._embeddings),
                *(self._norms, self._gradients, self._dots),
            ],
        )

    def newest(self) -> int:
        """Returns the number of the last step with a snapshot, 0 before the first."""
        steps = int(self.steps.numpy())
        return steps and 1 + (steps - 1) // self._every * self._every

    def images(self) -> int:
        """Returns the number of images that `fit` has seen, of batches of any size.

        If a batch has a remainder, each replica counts as many as the first one.
        """
        return int(self._rows.numpy()) * self._replicas

    def observe(self, step: StepView) -> dict:
        """Keeps a snapshot if it is the turn of this step, see `Observer.observe`."""

        def keep():
            for buffer, value in self._snapshot(step):
                buffer.assign(value)
            return tf.constant(True)

        # At the end of the data the graph runs what does not need a batch.
        with tf.control_dependencies([step.logs["loss"]]):
            before = tf.identity(self.steps.value)
            is_due = tf.equal(before % self._every, 0)
            tf.cond(is_due, keep, lambda: tf.constant(False))
            self.steps.assign(before + 1)
            rows = tf.shape(step.features[0], tf.int64)[0]
            self._rows.assign(self._rows.value + rows)
        return {}

    def _snapshot(self, step):
        """Yields the buffers and what they keep of a step."""
        kept = self._features.shape[1]
        yield self._features, buffers.padded(step.features, kept)
        yield self._embeddings, buffers.padded(step.embeddings, kept)
        rows = tf.cast(tf.shape(step.features[0])[0], tf.float32)
        logs = step.logs["loss"], step.logs.get("redundancy", math.nan)
        yield self._numbers, tf.stack([rows, *logs])
        weights = [tf.convert_to_tensor(v) for v in step.variables]
        gradients = [
            tf.zeros_like(w) if g is None else tf.cast(tf.convert_to_tensor(g), w.dtype)
            for w, g in zip(weights, step.gradients, strict=True)
        ]
        yield self._norms, tf.stack([tf.norm(w) for w in weights])
        pairs = zip(weights, gradients, strict=True)
        yield self._dots, tf.stack([tf.reduce_sum(w * g) for w, g in pairs])
        if self._replicas > 1:
            parts = [gradient_sketch.sketch(g, i) for i, g in enumerate(gradients)]
        else:
            parts = [tf.norm(g)[tf.newaxis] for g in gradients]
        yield self._gradients, tf.stack(parts)
        if self._views is not None:
            small = [buffers.small_pictures(view[:_PAIRS]) for view in step.views]
            yield self._views, buffers.padded(small, _PAIRS)

    def read(self) -> Snapshot:
        """Joins the newest snapshot of all replicas; all workers must call it."""
        numbers, features, embeddings, norms, gradients, dots = self._gather()
        counts = numbers[:, 0].astype(int)
        views = None
        if self._views is not None:
            views = buffers.local_values(self._strategy, self._views)[0][:, : counts[0]]
        return Snapshot(
            batch=int(counts.sum()),
            features=_joined(features, counts),
            embeddings=_joined(embeddings, counts),
            loss=float(numbers[0, 1]),
            redundancy=float(numbers[0, 2]),
            weight_norms=norms[0].astype(np.float64),
            gradient_norms=gradient_sketch.norms(gradients),
            dots=dots.sum(axis=0, dtype=np.float64),
            views=views,
        )


def _joined(replicas, counts):
    """Joins the rows of both views, (R, 2, n, F), without what fills them up."""
    pairs = zip(replicas, counts, strict=True)
    view_a, view_b = np.concatenate([v[:, :n] for v, n in pairs], axis=1)
    return view_a, view_b


def _bands(backbone):
    """Returns the number of bands if a backbone takes images, else `None`."""
    specs = keras.tree.flatten(networks.input_specs(backbone))
    is_image = len(specs) == 1 and specs[0] is not None and len(specs[0].shape) == 4
    return specs[0].shape[-1] if is_image else None
