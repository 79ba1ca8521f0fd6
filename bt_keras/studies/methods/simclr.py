"""SimCLR (arXiv 2002.05709): a softmax over the views of all other images."""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.studies.methods.rows import gather_rows


@keras.saving.register_keras_serializable("bt_keras.studies")
class SimCLR(BarlowTwins):
    """SimCLR with the loss NT-Xent, equation 1 of section 2.1.

    Of the 2N embeddings of a global batch, with sim the cosine similarity and j the
    other view of i, the loss is the mean over all i of

        -log( exp(sim(zᵢ, zⱼ) / τ) / Σₖ≠ᵢ exp(sim(zᵢ, zₖ) / τ) )

    Every replica computes the (2N, 2N) similarities of the gathered embeddings, so that
    negatives are those of the global batch. The paper's projector has the widths
    (2048, 128).

    Args:
        backbone: See `bt_keras.BarlowTwins`.
        projector: See `bt_keras.BarlowTwins`.
        temperature: Float > 0, τ. Defaults to `0.1`, the paper's for ImageNet; it has
            0.5 for CIFAR-10.
        **kwargs: Arguments of `bt_keras.BarlowTwins`; `lambd` is not used.

    Example:

    >>> from bt_keras.studies.methods.simclr import SimCLR
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = SimCLR(backbone, (32, 32), temperature=0.5)
    >>> z_a, z_b = np.random.default_rng(0).normal(size=(2, 8, 32))
    >>> list(model.loss_terms(z_a, z_b))
    ['loss']
    """

    log_names = ("loss",)

    def __init__(self, backbone, projector, *args, temperature: float = 0.1, **kwargs):
        super().__init__(backbone, projector, *args, **kwargs)
        self.temperature = checks.number("temperature", temperature, checks.POSITIVE)

    def loss_terms(self, z_a, z_b):
        z = tf.concat([gather_rows(z_a), gather_rows(z_b)], axis=0)
        z = tf.math.l2_normalize(z, axis=1)
        similarities = tf.matmul(z, z, transpose_b=True) / self.temperature
        count = tf.shape(z)[0]
        # No view is a negative of itself.
        similarities = tf.linalg.set_diag(
            similarities, tf.fill([count], tf.float32.min)
        )
        other_view = tf.roll(tf.range(count), count // 2, axis=0)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=other_view, logits=similarities
        )
        return {"loss": tf.reduce_mean(losses)}

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}
