"""SwAV (arXiv 2006.09882): predicts the cluster of one view from the other."""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.studies.methods.rows import gather_rows


def assignments(scores: tf.Tensor, epsilon: float, iterations: int) -> tf.Tensor:
    """Assigns embeddings to prototypes in equal shares, by Sinkhorn's algorithm.

    Args:
        scores: Float32 tensor (N, K), cosines of embeddings and prototypes.
        epsilon: Float > 0, the weight of the entropy; small is sharp.
        iterations: Integer > 0.

    Returns:
        Float32 tensor (N, K); rows have the sum 1, columns nearly N / K.
    """
    # In logarithms: exp(scores / epsilon) underflows if epsilon is below 0.02.
    log_q = scores / epsilon
    for _ in range(iterations):
        log_q -= tf.reduce_logsumexp(log_q, axis=0, keepdims=True)
        log_q -= tf.reduce_logsumexp(log_q, axis=1, keepdims=True)
    return tf.exp(log_q)


@keras.saving.register_keras_serializable("bt_keras.studies")
class SwAV(BarlowTwins):
    """SwAV without multi-crop and queue, equations 1 to 5 of section 3.1.

    With the cosines S of the embeddings and K trained prototypes, the loss is the mean
    over the batch of

        -Σₖ q_b[k] log softmax(S_a / τ)[k] - Σₖ q_a[k] log softmax(S_b / τ)[k]

    where the assignments q are constants that Sinkhorn's algorithm computes from S over
    the global batch. Prototypes are normalized inside the loss, in the paper after each
    step. The paper's projector has the widths (2048, 128).

    Args:
        backbone: See `bt_keras.BarlowTwins`.
        projector: See `bt_keras.BarlowTwins`.
        num_prototypes: Integer > 0, K. Defaults to `3000`.
        temperature: Float > 0, τ. Defaults to `0.1`.
        epsilon: Float > 0, see `assignments`. Defaults to `0.05`.
        iterations: Integer > 0, see `assignments`. Defaults to `3`.
        frozen_steps: Integer >= 0, the first steps, in which prototypes get no
            gradient: an epoch in the paper. Defaults to `0`.
        **kwargs: Arguments of `bt_keras.BarlowTwins`; `lambd` is not used.

    Example:

    >>> from bt_keras.studies.methods.swav import SwAV
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> tuple(SwAV(backbone, (32, 32), num_prototypes=20).prototypes.shape)
    (32, 20)
    """

    log_names = ("loss",)

    def __init__(
        self,
        backbone,
        projector,
        *args,
        num_prototypes: int = 3000,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        frozen_steps: int = 0,
        **kwargs,
    ):
        super().__init__(backbone, projector, *args, **kwargs)
        count = checks.number("num_prototypes", num_prototypes, checks.COUNT)
        self.temperature = checks.number("temperature", temperature, checks.POSITIVE)
        self.epsilon = checks.number("epsilon", epsilon, checks.POSITIVE)
        self.iterations = checks.number("iterations", iterations, checks.COUNT)
        self.frozen_steps = checks.number("frozen_steps", frozen_steps, checks.WHOLE)
        self.prototypes = self.add_weight(
            shape=(self.projector.output_shape[-1], count),
            initializer="random_normal",  # Directions are uniform on the sphere.
            autocast=False,
            name="prototypes",
        )

    def loss_terms(self, z_a, z_b):
        scores = [gather_rows(self._scores(z)) for z in (z_a, z_b)]
        q_a, q_b = (
            tf.stop_gradient(assignments(s, self.epsilon, self.iterations))
            for s in scores
        )
        losses = [
            tf.nn.softmax_cross_entropy_with_logits(q, s / self.temperature)
            for q, s in zip((q_b, q_a), scores, strict=True)
        ]
        return {"loss": tf.reduce_mean(sum(losses))}

    def _scores(self, z):
        directions = tf.math.l2_normalize(tf.convert_to_tensor(self.prototypes), axis=0)
        if self.frozen_steps:
            is_frozen = self.optimizer.iterations < self.frozen_steps
            directions = tf.where(is_frozen, tf.stop_gradient(directions), directions)
        unit = tf.math.l2_normalize(tf.cast(z, tf.float32), axis=1)
        return tf.matmul(unit, directions)

    def get_config(self):
        return {
            **super().get_config(),
            "num_prototypes": self.prototypes.shape[1],
            "temperature": self.temperature,
            "epsilon": self.epsilon,
            "iterations": self.iterations,
            "frozen_steps": self.frozen_steps,
        }
