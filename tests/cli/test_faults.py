"""Every exception becomes one line and a status; one row of the table per test."""

import errno
import signal

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from bt_keras.cli import faults
from bt_keras.cli.faults import Advice, describe
from bt_keras.cli.signals import SignaledError
from bt_keras.errors import StoppedError, UsageError

ADVICE = Advice(memory="lower config.batch_size")


def raised_by(function):
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        function()
    return caught.value


def op_error(name, message):
    return getattr(tf.errors, name)(None, None, message)


@pytest.mark.parametrize(
    ("error", "status", "parts"),
    [
        (UsageError("workdir x: no"), 2, ["error: workdir x: no"]),
        (flags.UnrecognizedFlagError("k", "3"), 2, ["error: ", "'k'"]),
        (StoppedError("stopped by SIGTERM"), 75, ["stopped by SIGTERM"]),
        (KeyboardInterrupt(), 130, ["interrupted"]),
        (SignaledError(signal.SIGTERM), 143, ["stopped by SIGTERM"]),
        (OSError(errno.ENOSPC, "No space left", "a/log.csv"), 2, ["a/log.csv", "free"]),
        (PermissionError(errno.EACCES, "Denied", "a", None, "b"), 2, ["a, b", "perm"]),
        (OSError(errno.EMFILE, "Too many", "x"), 2, ["ulimit -n"]),
        (OSError(errno.ENAMETOOLONG, "Too long", "x"), 2, ["shorter path"]),
        (OSError(errno.ENOEXEC, "Exec format error"), 2, ["error: Exec format error."]),
        (TimeoutError(), 2, ["error: TimeoutError."]),
        (op_error("ResourceExhaustedError", "x: No space left on device"), 2, ["free"]),
        (op_error("UnknownError", "x; Input/output error"), 2, ["check the disk"]),
        (op_error("NotFoundError", "{{f x}} w/a; No such file"), 2, ["TensorFlow: w/"]),
        (op_error("InternalError", "cuDNN launch failure"), 2, ["GPU", "CUDA_VISIBLE"]),
        (RuntimeError("can't start new thread"), 2, ["ulimit -u"]),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), 2, ["UTF-8", "0xff"]),
        (RecursionError("maximum recursion depth"), 2, ["nested too deeply"]),
        (ModuleNotFoundError("No module named 'x'"), 2, ["'x'", "pip install"]),
        (KeyError("x"), 1, ["internal error: KeyError: 'x'", "bug", "TRACEBACK=1"]),
        (SystemExit(0), 1, ["internal error: SystemExit", "bug"]),
        (op_error("InvalidArgumentError", "bad\nshape"), 1, ["bad shape", "bug"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_exception_is_one_line_with_a_status(error, status, parts):
    fault = describe(error, ADVICE)
    assert fault.status == status
    assert len(fault.message.splitlines()) == 1
    for part in parts:
        assert part in fault.message


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("std::bad_alloc"),
        # Keras raises it again where a layer is called.
        RuntimeError(
            "Exception encountered when calling Dense.call().\n\n{{function_node "
            "__wrapped__MatMul}} OOM when allocating tensor with shape[9,9]"
        ),
        op_error("ResourceExhaustedError", "OOM when allocating tensor with shape[9]"),
        # XLA on a GPU, CUDA, cuDNN and cuBLAS.
        op_error(
            "ResourceExhaustedError",
            "Graph execution error:\n\nDetected at node x defined at (most recent call "
            "last):\n<stack traces unavailable>\nOut of memory while trying to "
            "allocate 858993459 bytes.\n\t [[{{node x}}]] [Op:__inference_one_step_1]",
        ),
        op_error(
            "ResourceExhaustedError",
            "Error in user-defined function passed to ParallelMapDatasetV2:11 "
            "transformation with iterator: Iterator::Root::ParallelMapV2: Out of "
            "memory while trying to allocate 8.94GiB.",
        ),
        op_error("InternalError", "CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        op_error("InternalError", "Failed to allocate 4.00GiB for temporary buffers"),
        op_error("InternalError", "cuDNN: CUDNN_STATUS_ALLOC_FAILED"),
        op_error("UnknownError", "cuBLAS: CUBLAS_STATUS_ALLOC_FAILED"),
    ],
)
def test_out_of_memory_says_how_to_need_less(error):
    fault = describe(error, ADVICE)
    assert fault.status == 2
    assert fault.message.startswith("error: out of memory (")
    assert fault.message.endswith("): lower config.batch_size.")
    for noise in (
        "{{",
        "\n",
        "Graph execution",
        "Detected at",
        "[Op:",
        "Exception",
        "user-",
    ):
        assert noise not in fault.message


def test_arrays_of_numpy_and_tensorflow_that_do_not_fit():
    for allocate in (
        lambda: np.zeros(2**60, np.uint8),
        lambda: tf.zeros((2**20, 2**26)) + 1.0,
    ):
        fault = describe(raised_by(allocate), ADVICE)
        assert fault.message.startswith("error: out of memory (")
        assert fault.status == 2


def test_a_signal_to_a_command_that_resumes():
    fault = describe(SignaledError(signal.SIGTERM), Advice("less", resumes=True))
    assert fault.status == faults.STOPPED
    assert fault.message.startswith("stopped by SIGTERM outside the training steps; ")
