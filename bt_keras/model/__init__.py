"""The model: a batch of view pairs in, gradients and a step out."""

from bt_keras.model.barlow_twins import BarlowTwins

__all__ = ["BarlowTwins"]
