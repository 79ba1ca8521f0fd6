"""What the devices at hand are good at."""

from pathlib import Path

import tensorflow as tf

# What Linux calls a CPU's own bfloat16 products.
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16", "svebf16"}


def xla_pays():
    """Whether XLA should compile the training step.

    Returns:
        bool: yes on a TPU and on one GPU. Not on a CPU, where XLA's convolutions are
        slow, nor on several GPUs, whose variables it cannot reach.
    """
    if tf.config.list_logical_devices("TPU"):
        return True
    one_replica = tf.distribute.get_strategy().num_replicas_in_sync == 1
    return one_replica and bool(tf.config.list_logical_devices("GPU"))


def bfloat16_is_emulated(cpuinfo="/proc/cpuinfo"):
    """Whether bfloat16 would run on a CPU that has no instructions for it.

    Args:
        cpuinfo: str or path, where the kernel describes the CPU.

    Returns:
        bool; False where the CPU is not described.
    """
    if any(tf.config.list_logical_devices(kind) for kind in ("TPU", "GPU")):
        return False
    try:
        words = set(Path(cpuinfo).read_text().split())
    except OSError:
        return False
    return not words & _BFLOAT16_FLAGS
