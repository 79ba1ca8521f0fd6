"""SimSiam (arXiv 2011.10566): a predictor and a stop-gradient, no negatives."""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras import checks, networks
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.studies.methods import projectors
from bt_keras.studies.methods.rows import cosines, mean_of_rows


@keras.saving.register_keras_serializable("bt_keras.studies")
class SimSiam(BarlowTwins):
    """SimSiam, algorithm 1 and equation 4 of section 3.

    With a predictor p, a stop-gradient sg and the cosine similarity cos, the loss is
    the mean over the batch of

        -½ cos(p(z_a), sg(z_b)) - ½ cos(p(z_b), sg(z_a))

    A projector that is made of widths ends with a batch norm, as in the paper, whose
    code leaves out the scale and the offset of this one. The paper's projector has the
    widths (2048, 2048, 2048); it trains with SGD, the predictor at a constant rate,
    while here one optimizer trains all.

    Args:
        backbone: See `bt_keras.BarlowTwins`.
        projector: See `bt_keras.BarlowTwins`.
        predictor_width: Integer > 0, the hidden width of the predictor. Defaults to
            `512`.
        **kwargs: Arguments of `bt_keras.BarlowTwins`; `lambd` is not used.

    Example:

    >>> from bt_keras.studies.methods.simsiam import SimSiam
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = SimSiam(backbone, (32, 32), predictor_width=8)
    >>> z = np.random.default_rng(0).normal(size=(8, 32))
    >>> -1 <= float(model.loss_terms(z, z)["loss"]) <= 1
    True
    """

    log_names = ("loss",)

    def __init__(
        self, backbone, projector, *args, predictor_width: int = 512, **kwargs
    ):
        hidden = checks.number("predictor_width", predictor_width, checks.COUNT)
        if isinstance(backbone, keras.Layer) and not isinstance(projector, keras.Layer):
            feature_dim = networks.feature_dim(backbone)
            projector = projectors.ending_with_batch_norm(projector, feature_dim)
        super().__init__(backbone, projector, *args, **kwargs)
        self.predictor_width = hidden
        self.predictor = projectors.predictor(self.projector.output_shape[-1], hidden)

    def batch_terms(self, views, labels, embeddings, training=True):
        return self.loss_terms(*embeddings, training)

    def loss_terms(self, z_a, z_b, training=True):
        similarities = self._ordered(z_a, z_b, training) + self._ordered(
            z_b, z_a, training
        )
        return {"loss": -mean_of_rows(similarities) / 2}

    def _ordered(self, z_a, z_b, training):
        return cosines(self.predictor(z_a, training=training), tf.stop_gradient(z_b))

    def get_config(self):
        return {**super().get_config(), "predictor_width": self.predictor_width}
