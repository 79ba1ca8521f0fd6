"""Splits PyTorch checkpoints into weights and optimizer state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bt_keras.convert import name_map
from bt_keras.errors import UsageError, shown

PREFIX = "module."  # DistributedDataParallel adds it to every name.


def split(source: Mapping) -> tuple[dict[str, np.ndarray], Mapping | None]:
    """Splits a checkpoint into weights and optimizer state.

    Args:
        source: Mapping, a state dict or a checkpoint with `"model"` or `"state_dict"`.

    Returns:
        `(state, optimizer)`: dict of str to NumPy array, without the prefix `module.`
        and without `num_batches_tracked`; and the optimizer's state dict or `None`.

    Raises:
        UsageError: If it is not a mapping of names to arrays of numbers.
    """
    if not isinstance(source, Mapping):
        raise UsageError(
            "weights must be a mapping of names to arrays, or a file of one, not "
            f"{type(source).__name__}."
        )
    optimizer = None
    # The official checkpoint, or those of Lightning and MoCo.
    for key in ("model", "state_dict"):
        if isinstance(source.get(key), Mapping):
            source, optimizer = source[key], source.get("optimizer")
            break
    state = {}
    for name, value in source.items():
        short = str(name).removeprefix(PREFIX)
        if short in state:
            raise UsageError(
                f"{shown(short)} occurs twice, with and without the prefix 'module.'."
            )
        if not short.endswith(name_map.COUNTER):
            state[short] = name_map.as_array(str(name), value)
    return state, optimizer
