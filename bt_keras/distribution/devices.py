"""Selects optimizations that are faster on the available devices."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

# Linux's names of CPU instructions for bfloat16 products.
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16", "svebf16"}
# The x86 ones, fastest first.
_PRODUCTS = {"amx": "amx_bf16", "avx512": "avx512_bf16"}


def gpus() -> list[tf.config.LogicalDevice]:
    """Returns the GPUs that TensorFlow sees."""
    return tf.config.list_logical_devices("GPU")


def is_accelerated() -> bool:
    """Returns whether TensorFlow sees a GPU or a TPU."""
    return bool(gpus() or tf.config.list_logical_devices("TPU"))


def gpu_is_unused(device: str | os.PathLike = "/dev/nvidia0") -> bool:
    """Returns whether this machine has an NVIDIA GPU that TensorFlow does not see.

    A GPU that `CUDA_VISIBLE_DEVICES` hides is not counted.

    Args:
        device: Path of the first GPU's device file. Defaults to `"/dev/nvidia0"`.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1", "NoDevFiles"):
        return False
    has_one = os.path.exists(device) or shutil.which("nvidia-smi") is not None
    return has_one and not tf.config.list_physical_devices("GPU")


def xla_pays() -> bool:
    """Returns whether XLA should compile the training step.

    Returns:
        `True` on a TPU and on one GPU. `False` on a CPU, where XLA's convolutions are
        slow, on several GPUs, where XLA cannot access the mirrored variables, and on a
        GPU with deterministic operations, which XLA lacks for the gradient of max
        pooling.
    """
    if tf.config.list_logical_devices("TPU"):
        return True
    one_replica = tf.distribute.get_strategy().num_replicas_in_sync == 1
    return one_replica and bool(gpus()) and not is_deterministic()


def is_deterministic() -> bool:
    """Returns whether `tf.config.experimental.enable_op_determinism` is in effect."""
    # TensorFlow has no public function for it. Its clock is not deterministic.
    with tf.init_scope():
        try:
            tf.timestamp()
        except tf.errors.FailedPreconditionError:
            return True
    return False


def bfloat16_is_emulated(cpuinfo: str | os.PathLike = "/proc/cpuinfo") -> bool:
    """Returns whether the only device is a CPU without bfloat16 instructions.

    Args:
        cpuinfo: Path of the kernel's description of the CPU. Defaults to
            `"/proc/cpuinfo"`.

    Returns:
        Boolean; `False` if there is no description.
    """
    flags = _cpu_flags(os.fspath(cpuinfo))
    return bool(flags) and not is_accelerated() and not flags & _BFLOAT16_FLAGS


def cpu_bfloat16(cpuinfo: str | os.PathLike = "/proc/cpuinfo") -> str | None:
    """Returns the x86 instructions that multiply in bfloat16.

    Args:
        cpuinfo: Path of the kernel's description of the CPU. Defaults to
            `"/proc/cpuinfo"`.

    Returns:
        `"amx"`, or else `"avx512"`; `None` if the CPU has neither, there is no
        description, or there is a GPU or TPU.
    """
    flags = _cpu_flags(os.fspath(cpuinfo))
    known = [name for name, flag in _PRODUCTS.items() if flag in flags]
    return known[0] if known and not is_accelerated() else None


@functools.cache
def _cpu_flags(cpuinfo):
    try:
        return set(Path(cpuinfo).read_text(encoding="utf-8").split())
    except OSError:
        return set()


def fused(function: Callable) -> Callable:
    """Compiles a function with XLA on GPUs: one kernel instead of one per operation.

    On several GPUs XLA cannot compile the whole step, because of its collectives.

    Args:
        function: Function of tensors without variables and collectives. Arguments that
            are not tensors are constants.

    Returns:
        Function with the same arguments and results.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*args):
        return (compiled if gpus() else function)(*args)

    return call
