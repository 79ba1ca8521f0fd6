"""What a backbone was pretrained with: the views, the projector, the loss."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from bt_keras.augmentation import Views
from bt_keras.evaluation import feature_identity


@dataclasses.dataclass(frozen=True)
class Pretext:
    """The pretraining of a backbone, as far as it is known.

    Args:
        views: `bt_keras.augmentation.Views` that return normalized images.
        seed: Integer. Seeds the views of an evaluation.
        load_projector: Optional function without arguments that returns a `keras.Model`
            from features (N, F) to embeddings (N, D). Defaults to `None`: a module has
            none.
        lambd: Float >= 0, the weight of the redundancy term. Defaults to `5e-3`.
        batch_size: Integer, images of a training step. Defaults to `256`.
    """

    views: Views
    seed: int
    load_projector: Callable[[], keras.Model] | None = None
    lambd: float = 5e-3
    batch_size: int = 256

    @functools.cached_property
    def projector(self) -> keras.Model | None:
        """The projector, which is loaded when it is first used; `None` without one."""
        return self.load_projector and self.load_projector()

    def project(self, features: tf.Tensor) -> tf.Tensor:
        """Computes float32 embeddings (N, D) of features (N, F) in evaluation mode."""
        return tf.cast(self.projector(features, training=False), tf.float32)

    def describe(self) -> dict[str, Any]:
        """Returns all that scores of views and embeddings depend on, as JSON values."""
        projector = self.projector
        return {
            "views": repr(self.views),
            "seed": self.seed,
            "projector": projector and feature_identity.of_network(projector),
            "lambd": float(self.lambd),
            "batch_size": self.batch_size,
        }
