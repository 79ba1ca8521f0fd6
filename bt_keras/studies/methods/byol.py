"""BYOL (arXiv 2006.07733): predicts the embeddings of a slowly moving network."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.studies.methods import moving_average, projectors
from bt_keras.studies.methods.rows import cosines, mean_of_rows


@keras.saving.register_keras_serializable("bt_keras.studies")
class BYOL(BarlowTwins):
    """BYOL, equations 1 to 3 of section 3.1.

    With a predictor q, the embeddings z of the network and those z' of the target
    network, whose weights are an exponential moving average, the loss is the mean over
    the batch of

        ‖q̄(z_a) - z̄'_b‖² + ‖q̄(z_b) - z̄'_a‖²

    where the bar divides by the norm. After step k of K, target = τ target + (1 - τ)
    weights, with τ = 1 - (1 - momentum) (cos(πk / K) + 1) / 2. The target begins as a
    copy. In training its batch norm uses the statistics of the batch. The paper's
    projector has the widths (4096, 256).

    Args:
        backbone: See `bt_keras.BarlowTwins`.
        projector: See `bt_keras.BarlowTwins`.
        predictor_width: Integer > 0, the hidden width of the predictor. Defaults to
            `4096`.
        momentum: Float in [0, 1], τ at the first step. Defaults to `0.996`.
        total_steps: Optional integer > 0, the steps K in which τ rises to 1. Defaults
            to `None`: τ is constant.
        **kwargs: Arguments of `bt_keras.BarlowTwins`; `lambd` is not used. With
            `microbatches`, the target processes the whole batch at once.

    Example:

    >>> from bt_keras.studies.methods.byol import BYOL
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = BYOL(backbone, (32, 32), predictor_width=32, total_steps=100)
    >>> [round(float(model.momentum_at(step)), 3) for step in (0, 50, 100)]
    [0.996, 0.998, 1.0]
    """

    log_names = ("loss",)
    added_passes = (2, 0)  # Of the target.

    def __init__(
        self,
        backbone,
        projector,
        *args,
        predictor_width: int = 4096,
        momentum: float = 0.996,
        total_steps: int | None = None,
        **kwargs,
    ):
        predictor_width = checks.number(
            "predictor_width", predictor_width, checks.COUNT
        )
        momentum = checks.number("momentum", momentum, checks.FRACTION)
        if total_steps is not None:
            total_steps = checks.number("total_steps", total_steps, checks.COUNT)
        super().__init__(backbone, projector, *args, **kwargs)
        self.predictor_width = predictor_width
        self.momentum, self.total_steps = momentum, total_steps
        width = self.projector.output_shape[-1]
        self.predictor = projectors.predictor(width, predictor_width)
        self.target = moving_average.MovingAverage(self.backbone, self.projector)

    def momentum_at(self, step: Any) -> tf.Tensor:
        """Returns τ at a step, a float32 scalar, for an integer >= 0."""
        if self.total_steps is None:
            return tf.constant(self.momentum)
        done = tf.minimum(tf.cast(step, tf.float32) / self.total_steps, 1.0)
        return 1.0 - (1.0 - self.momentum) * (tf.cos(math.pi * done) + 1.0) / 2.0

    def train_step(self, data):
        self.target.begin()
        logs = super().train_step(data)
        self.target.move(self.momentum_at(self.target.updates))
        return logs

    def batch_terms(self, views, labels, embeddings, training=True):
        targets = [self.target(view, training=training) for view in views]
        return self.loss_of_targets(embeddings, targets, training)

    def loss_of_targets(self, embeddings, targets, training=True):
        """Computes the loss; `targets` are the target's embeddings of both views."""
        predicted = [self.predictor(z, training=training) for z in embeddings]
        similarities = [
            cosines(p, tf.stop_gradient(z))
            for p, z in zip(predicted, reversed(targets), strict=True)
        ]
        return {"loss": mean_of_rows(4.0 - 2.0 * sum(similarities))}

    def get_config(self):
        return {
            **super().get_config(),
            "predictor_width": self.predictor_width,
            "momentum": self.momentum,
            "total_steps": self.total_steps,
        }
