"""The Barlow Twins loss: embeddings of a batch in, a scalar out."""

from bt_keras.losses.barlow_twins import (
    IMPLEMENTATIONS,
    barlow_twins_loss,
    barlow_twins_terms,
    cheapest_implementation,
    cross_correlation,
)

__all__ = [
    "IMPLEMENTATIONS",
    "barlow_twins_loss",
    "barlow_twins_terms",
    "cheapest_implementation",
    "cross_correlation",
]
