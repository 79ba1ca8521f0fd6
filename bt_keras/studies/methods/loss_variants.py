"""The loss functions that the paper compares with its own (its Table 5).

C is the matrix of products of the embeddings of both views, over the N rows of the
global batch. The variants differ in how rows are normalized before, and in the function
of C.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.losses.standardize import EPSILON
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.studies.methods.projectors import without_batch_norm
from bt_keras.studies.methods.rows import gather_rows

BATCH, FEATURES, CENTERED = "batch", "features", "centered"
NORMALIZATIONS = (BATCH, FEATURES, CENTERED)
SQUARES, CROSS_ENTROPY = "squares", "cross_entropy"
OBJECTIVES = (SQUARES, CROSS_ENTROPY)


def normalize(z: tf.Tensor, along: str) -> tf.Tensor:
    """Normalizes embeddings.

    Args:
        z: Float32 tensor (N, D).
        along: `"batch"`: columns of mean 0 and deviation 1, as in Barlow Twins;
            `"features"`: rows of mean 0 and deviation 1; `"centered"`: columns of mean
            0, so that C is the cross-covariance matrix.

    Returns:
        Float32 tensor (N, D).
    """
    axis = 1 if along == FEATURES else 0
    mean, variance = tf.nn.moments(z, axes=[axis], keepdims=True)
    if along == CENTERED:
        return z - mean
    return (z - mean) * tf.math.rsqrt(variance + EPSILON)


def squares(c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the terms of equation 1 of the paper.

    Args:
        c: Float32 tensor (D, D).

    Returns:
        Tuple `(invariance, redundancy)`, `Σᵢ (1 - Cᵢᵢ)²` and `Σᵢ Σⱼ≠ᵢ Cᵢⱼ²`.
    """
    diagonal = tf.linalg.diag_part(c)
    others = tf.linalg.set_diag(c, tf.zeros_like(diagonal))
    invariance = tf.reduce_sum(tf.square(1.0 - diagonal))
    return invariance, tf.reduce_sum(tf.square(others))


def cross_entropy(c: tf.Tensor, temperature: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the terms of the loss with a temperature.

    Args:
        c: Float32 tensor (D, D).
        temperature: Float > 0, τ.

    Returns:
        Tuple `(invariance, redundancy)`, `-log Σᵢ exp(Cᵢᵢ / τ)` and
        `log Σᵢ Σⱼ≠ᵢ exp(max(Cᵢⱼ, 0) / τ)`.
    """
    diagonal = tf.linalg.diag_part(c)
    others = tf.linalg.set_diag(
        tf.nn.relu(c) / temperature, tf.fill(tf.shape(diagonal), -float("inf"))
    )
    invariance = -tf.reduce_logsumexp(diagonal / temperature)
    return invariance, tf.reduce_logsumexp(others)


@keras.saving.register_keras_serializable("bt_keras.studies")
class LossVariant(BarlowTwins):
    """Barlow Twins with another loss: `invariance * i + lambd * redundancy`.

    Args:
        backbone: See `bt_keras.BarlowTwins`.
        projector: See `bt_keras.BarlowTwins`.
        normalization: String, see `normalize`. Defaults to `"batch"`.
        objective: `"squares"` or `"cross_entropy"`, the function of C. Defaults to
            `"squares"`.
        invariance: Float >= 0, the weight i of the first term. Defaults to `1.0`.
        temperature: Float > 0, of the cross-entropy. Defaults to `0.1`; the paper does
            not say its value.
        batch_norm: Boolean, whether a projector that is made of widths has batch norm
            between its layers. Defaults to `True`.
        **kwargs: Arguments of `bt_keras.BarlowTwins`.

    Example:

    >>> from bt_keras.studies.methods.loss_variants import LossVariant
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = LossVariant(backbone, (32, 32), normalization="features")
    >>> z_a, z_b = np.random.default_rng(0).normal(size=(2, 8, 32))
    >>> sorted(model.loss_terms(z_a, z_b))
    ['invariance', 'loss', 'redundancy']
    """

    def __init__(
        self,
        backbone,
        projector,
        *args,
        normalization: str = BATCH,
        objective: str = SQUARES,
        invariance: float = 1.0,
        temperature: float = 0.1,
        batch_norm: bool = True,
        **kwargs,
    ):
        if not batch_norm and not isinstance(projector, keras.Layer):
            projector = without_batch_norm(projector)
        super().__init__(backbone, projector, *args, **kwargs)
        self.normalization = checks.choice(
            "normalization", normalization, NORMALIZATIONS
        )
        self.objective = checks.choice("objective", objective, OBJECTIVES)
        self.invariance = checks.number("invariance", invariance, checks.NOT_NEGATIVE)
        self.temperature = checks.number("temperature", temperature, checks.POSITIVE)
        self.batch_norm = batch_norm

    def loss_terms(self, z_a, z_b):
        rows = [normalize(gather_rows(z), self.normalization) for z in (z_a, z_b)]
        count = tf.cast(tf.shape(rows[0])[0], tf.float32)
        c = tf.matmul(*rows, transpose_a=True) / count
        if self.objective == SQUARES:
            invariance, redundancy = squares(c)
        else:
            invariance, redundancy = cross_entropy(c, self.temperature)
        loss = self.invariance * invariance + self.lambd * redundancy
        return {"loss": loss, "invariance": invariance, "redundancy": redundancy}

    def get_config(self):
        return {
            **super().get_config(),
            "normalization": self.normalization,
            "objective": self.objective,
            "invariance": self.invariance,
            "temperature": self.temperature,
            "batch_norm": self.batch_norm,
        }
