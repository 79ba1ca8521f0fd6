"""Exports what can be trained of a network, whatever is frozen at the moment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def unfrozen(*networks: keras.Model | None) -> Iterator[None]:
    """Makes all layers trainable, and restores the flags at the end.

    Users freeze a backbone for a linear probe or for the first epochs of fine-tuning;
    the module is to be trained by others.

    Args:
        *networks: `keras.Model`s; `None` is ignored.
    """
    present = [network for network in networks if network is not None]
    # Outer layers first: setting a layer's flag sets those of its inner layers.
    layers = [layer for n in present for layer in n._flatten_layers()]
    flags = [layer.trainable for layer in layers]
    variables = [variable for n in present for variable in n.variables]
    variable_flags = [variable.trainable for variable in variables]
    try:
        for network in present:
            network.trainable = True
        yield
    finally:
        for layer, flag in zip(layers, flags, strict=True):
            layer.trainable = flag
        for variable, flag in zip(variables, variable_flags, strict=True):
            variable.trainable = flag
