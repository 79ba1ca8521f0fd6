"""Mixed Barlow Twins (arXiv 2312.02151): mixed images have mixed embeddings."""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.studies.methods.loss_variants import BATCH, normalize
from bt_keras.studies.methods.rows import gather_rows, swap_neighbors


@keras.saving.register_keras_serializable("bt_keras.studies")
class MixedBarlowTwins(BarlowTwins):
    """Barlow Twins with the regularization of mixed images, as in the official code.

    With a share s from U(0, 1) for each step and a permutation π of the batch, the
    images x_m = s x_a + (1 - s) π(x_b) have the embeddings z_m. Of standardized
    embeddings, and with C(u, v) = uᵀv / N, the loss of Barlow Twins increases by
    `mixing_weight * lambd` times

        Σ_v ‖C(z_m, v) - s C(z_a, v) - (1 - s) C(π(z_b), v)‖²,  v = z_a, z_b

    π swaps neighbors, which a replica can do alone; the data are in random order
    already. The paper draws a random permutation. Values of s depend on the step alone.

    Args:
        backbone: See `bt_keras.BarlowTwins`.
        projector: See `bt_keras.BarlowTwins`.
        mixing_weight: Float >= 0, the weight of the new term. Defaults to `1.0`, the
            best for ImageNet; the official script for CIFAR-10 has 4.
        **kwargs: Arguments of `bt_keras.BarlowTwins`, except `microbatches`.

    Example:

    >>> from bt_keras.studies.methods.mixed import MixedBarlowTwins
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> MixedBarlowTwins(backbone, (32, 32)).log_names
    ('loss', 'invariance', 'redundancy', 'mixing')
    """

    log_names = (*BarlowTwins.log_names, "mixing")
    added_passes = (1, 1)

    def __init__(
        self, backbone, projector, *args, mixing_weight: float = 1.0, **kwargs
    ):
        super().__init__(backbone, projector, *args, **kwargs)
        if self.microbatches > 1:
            raise UsageError(
                f"microbatches={self.microbatches}: MixedBarlowTwins mixes the images "
                "of a whole batch; set it to 1."
            )
        self.mixing_weight = checks.number(
            "mixing_weight", mixing_weight, checks.NOT_NEGATIVE
        )

    def batch_terms(self, views, labels, embeddings, training=True):
        terms = self.loss_terms(*embeddings)
        share = self._share()
        mixed = keras.tree.map_structure(lambda a, b: _mix(a, b, share), *views)
        z_m = self.project(mixed, training=training)
        mixing = mixing_term(z_m, *embeddings, share)
        loss = terms["loss"] + self.mixing_weight * self.lambd * mixing
        return {**terms, "loss": loss, "mixing": mixing}

    def _share(self):
        step = tf.convert_to_tensor(self.optimizer.iterations)
        seed = tf.stack([tf.cast(step, tf.int32), 0])
        return tf.random.stateless_uniform((), seed)

    def get_config(self):
        return {**super().get_config(), "mixing_weight": self.mixing_weight}


def mixing_term(
    z_m: tf.Tensor, z_a: tf.Tensor, z_b: tf.Tensor, share: tf.Tensor
) -> tf.Tensor:
    """Computes the sum of squares of `MixedBarlowTwins`.

    Args:
        z_m: Float tensor (n, D), the embeddings of mixed images on this replica.
        z_a: Float tensor (n, D).
        z_b: Float tensor (n, D).
        share: Float scalar, s.

    Returns:
        Float32 scalar, of the global batch.
    """
    rows = tf.shape(z_m)[0]
    z_m, z_a, z_b = (normalize(gather_rows(z), BATCH) for z in (z_m, z_a, z_b))
    off = z_m - share * z_a - (1.0 - share) * swap_neighbors(z_b, rows)
    count = tf.cast(tf.shape(off)[0], tf.float32)
    differences = [tf.matmul(off, z, transpose_a=True) / count for z in (z_a, z_b)]
    return tf.reduce_sum(tf.square(differences))


def _mix(view_a, view_b, share):
    if not (isinstance(view_a, tf.Tensor) and view_a.dtype.is_floating):
        raise UsageError(
            "MixedBarlowTwins mixes dense tensors of floats, such as images."
        )
    share = tf.cast(share, view_a.dtype)
    return share * view_a + (1 - share) * swap_neighbors(view_b, tf.shape(view_b)[0])
