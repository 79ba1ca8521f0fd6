"""VICReg (arXiv 2105.04906): variance, invariance and covariance regularization."""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.studies.methods.rows import gather_rows

EPSILON = 1e-4


def variance(z: tf.Tensor) -> tf.Tensor:
    """Computes the hinge of equation 1, `mean(max(0, 1 - sqrt(var(z) + 1e-4)))`.

    Args:
        z: Float32 tensor (N, D).

    Returns:
        Float32 scalar, the mean over the D columns; variances are unbiased.
    """
    count = tf.cast(tf.shape(z)[0], tf.float32)
    unbiased = tf.math.reduce_variance(z, axis=0) * count / (count - 1)
    return tf.reduce_mean(tf.nn.relu(1.0 - tf.sqrt(unbiased + EPSILON)))


def covariance(z: tf.Tensor) -> tf.Tensor:
    """Computes equation 4, the sum of squared covariances of different columns over D.

    Args:
        z: Float32 tensor (N, D).

    Returns:
        Float32 scalar; covariances are unbiased.
    """
    count, width = (tf.cast(size, tf.float32) for size in tf.unstack(tf.shape(z)))
    centered = z - tf.reduce_mean(z, axis=0)
    c = tf.matmul(centered, centered, transpose_a=True) / (count - 1)
    others = tf.linalg.set_diag(c, tf.zeros_like(tf.linalg.diag_part(c)))
    return tf.reduce_sum(tf.square(others)) / width


@keras.saving.register_keras_serializable("bt_keras.studies")
class VICReg(BarlowTwins):
    """VICReg, equations 1 to 6 of section 4.1 as the official code computes them.

        loss = i s(Z, Z') + v (v(Z) + v(Z')) / 2 + c (c(Z) + c(Z'))

    with s the mean square of Z - Z' over rows and columns. In the paper, s is the sum
    over the D columns, and v(Z) + v(Z') is not halved; the weights are meant for the
    code. The embeddings are gathered: all terms are those of the global batch. The
    paper's projector has the widths (8192, 8192, 8192).

    Args:
        backbone: See `bt_keras.BarlowTwins`.
        projector: See `bt_keras.BarlowTwins`.
        invariance: Float >= 0, the weight i. Defaults to `25.0`.
        variance: Float >= 0, the weight v. Defaults to `25.0`.
        covariance: Float >= 0, the weight c. Defaults to `1.0`.
        **kwargs: Arguments of `bt_keras.BarlowTwins`; `lambd` is not used.

    Example:

    >>> from bt_keras.studies.methods.vicreg import VICReg
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = VICReg(backbone, (32, 32))
    >>> z_a, z_b = np.random.default_rng(0).normal(size=(2, 8, 32))
    >>> sorted(model.loss_terms(z_a, z_b))
    ['covariance', 'invariance', 'loss', 'variance']
    """

    log_names = ("loss", "invariance", "variance", "covariance")

    def __init__(
        self,
        backbone,
        projector,
        *args,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        **kwargs,
    ):
        super().__init__(backbone, projector, *args, **kwargs)
        weights = {
            "invariance": invariance,
            "variance": variance,
            "covariance": covariance,
        }
        self.weights_of_terms = {
            name: checks.number(name, weight, checks.NOT_NEGATIVE)
            for name, weight in weights.items()
        }

    def loss_terms(self, z_a, z_b):
        z_a, z_b = gather_rows(z_a), gather_rows(z_b)
        terms = {
            "invariance": tf.reduce_mean(tf.square(z_a - z_b)),
            "variance": (variance(z_a) + variance(z_b)) / 2,
            "covariance": covariance(z_a) + covariance(z_b),
        }
        loss = sum(self.weights_of_terms[name] * terms[name] for name in terms)
        return {"loss": loss, **terms}

    def get_config(self):
        return {**super().get_config(), **self.weights_of_terms}
