"""Selects optimizations that are faster on the available devices."""

from __future__ import annotations

import os
from pathlib import Path

import tensorflow as tf

# Linux's names of CPU instructions for bfloat16 products.
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16", "svebf16"}


def xla_pays() -> bool:
    """Returns whether XLA should compile the training step.

    Returns:
        `True` on a TPU and on one GPU. `False` on a CPU, where XLA's convolutions are
        slow, and on several GPUs, where XLA cannot access the mirrored variables.
    """
    if tf.config.list_logical_devices("TPU"):
        return True
    one_replica = tf.distribute.get_strategy().num_replicas_in_sync == 1
    return one_replica and bool(tf.config.list_logical_devices("GPU"))


def bfloat16_is_emulated(cpuinfo: str | os.PathLike = "/proc/cpuinfo") -> bool:
    """Returns whether the only device is a CPU without bfloat16 instructions.

    Args:
        cpuinfo: Path of the kernel's description of the CPU. Defaults to
            `"/proc/cpuinfo"`.

    Returns:
        Boolean; `False` if there is no description.
    """
    if any(tf.config.list_logical_devices(kind) for kind in ("TPU", "GPU")):
        return False
    try:
        words = set(Path(cpuinfo).read_text(encoding="utf-8").split())
    except OSError:
        return False
    return not words & _BFLOAT16_FLAGS
