"""Splits PyTorch checkpoints into weights and optimizer state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bt_keras.convert import name_map
from bt_keras.errors import UsageError, shown

PREFIX = "module."  # DistributedDataParallel adds it to every name.
_COMPILED = "_orig_mod"  # torch.compile adds it to the names of the compiled part.
# Entries with the weights: of the official code, of Lightning and MoCo, and, one within
# the other, of VISSL.
_WEIGHTS = ("model", "state_dict", "classy_state_dict", "base_model", "trunk")


def split(source: Mapping) -> tuple[dict[str, np.ndarray], Mapping | None]:
    """Splits a checkpoint into weights and optimizer state.

    Args:
        source: Mapping, a state dict or a checkpoint with `"model"` or `"state_dict"`,
            or a checkpoint of VISSL.

    Returns:
        `(state, optimizer)`: dict of str to NumPy array, without the prefix `module.`,
        torch.compile's `_orig_mod.` and `num_batches_tracked`; and the optimizer's
        state dict or `None`.

    Raises:
        UsageError: If it is not a mapping of names to arrays of numbers.
    """
    if not isinstance(source, Mapping):
        raise UsageError(
            "weights must be a mapping of names to arrays, or a file of one, not "
            f"{type(source).__name__}."
        )
    weights, optimizer = _unwrap(source)
    state = {}
    for name, value in weights.items():
        short = _plain_name(str(name))
        if short in state:
            raise UsageError(
                f"{shown(short)} occurs twice, with and without the prefix 'module.' "
                f"or {_COMPILED + '.'!r}."
            )
        if not short.endswith(name_map.COUNTER):
            state[short] = name_map.as_array(str(name), value)
    return state, optimizer


def _unwrap(source):
    """Returns the innermost mapping of weights, and the optimizer beside it or None."""
    optimizer = None
    for _ in _WEIGHTS:  # A pickle can contain itself.
        keys = (key for key in _WEIGHTS if isinstance(source.get(key), Mapping))
        if (key := next(keys, None)) is None:
            break
        source, optimizer = source[key], source.get("optimizer", optimizer)
    return source, optimizer


def _plain_name(name):
    plain = ".".join(part for part in name.split(".") if part != _COMPILED)
    while plain.startswith(PREFIX):
        plain = plain.removeprefix(PREFIX)
    return plain
