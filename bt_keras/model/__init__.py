"""The model: pairs of views in, gradients and a training step out."""

from bt_keras.model.barlow_twins import BarlowTwins

__all__ = ["BarlowTwins"]
