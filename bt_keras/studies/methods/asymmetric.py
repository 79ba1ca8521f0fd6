"""Barlow Twins with a stop-gradient, a predictor, or both (the paper's Table 6)."""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.studies.methods.projectors import predictor as new_predictor


@keras.saving.register_keras_serializable("bt_keras.studies")
class Asymmetric(BarlowTwins):
    """Barlow Twins whose views are treated differently.

    With a predictor p and a stop-gradient sg, the loss is the mean of
    `L(p(z_a), sg(z_b))` and `L(p(z_b), sg(z_a))`, with L of `bt_keras.BarlowTwins`; the
    paper does not say whether it takes both orders.

    Args:
        backbone: See `bt_keras.BarlowTwins`.
        projector: See `bt_keras.BarlowTwins`.
        stop_gradient: Boolean, whether the second argument of L is a constant. Defaults
            to `False`.
        predictor_width: Integer >= 0, the hidden width of a predictor on the first
            argument of L; 0 for none. Defaults to `0`.
        **kwargs: Arguments of `bt_keras.BarlowTwins`.

    Example:

    >>> from bt_keras.studies.methods.asymmetric import Asymmetric
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = Asymmetric(backbone, (32, 32), stop_gradient=True, predictor_width=32)
    >>> z_a, z_b = np.random.default_rng(0).normal(size=(2, 8, 32))
    >>> sorted(model.loss_terms(z_a, z_b))
    ['invariance', 'loss', 'redundancy']
    """

    def __init__(
        self,
        backbone,
        projector,
        *args,
        stop_gradient: bool = False,
        predictor_width: int = 0,
        **kwargs,
    ):
        super().__init__(backbone, projector, *args, **kwargs)
        self.stop_gradient = stop_gradient
        hidden = checks.number("predictor_width", predictor_width, checks.WHOLE)
        width = self.projector.output_shape[-1]
        self.predictor_width = hidden
        self.predictor = new_predictor(width, hidden) if hidden else None

    def batch_terms(self, views, labels, embeddings, training=True):
        return self.loss_terms(*embeddings, training)

    def loss_terms(self, z_a, z_b, training=True):
        both = [
            self._ordered(z_a, z_b, training),
            self._ordered(z_b, z_a, training),
        ]
        return {name: (both[0][name] + both[1][name]) / 2 for name in both[0]}

    def _ordered(self, z_a, z_b, training):
        if self.predictor:
            z_a = self.predictor(z_a, training=training)
        if self.stop_gradient:
            z_b = tf.stop_gradient(z_b)
        return super().loss_terms(z_a, z_b)

    def get_config(self):
        return {
            **super().get_config(),
            "stop_gradient": self.stop_gradient,
            "predictor_width": self.predictor_width,
        }
