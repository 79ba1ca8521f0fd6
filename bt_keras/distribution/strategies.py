"""Create the `tf.distribute.Strategy` of a run and coordinate its workers."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from bt_keras.distribution import cluster as clusters
from bt_keras.distribution import devices
from bt_keras.distribution.cluster import Cluster
from bt_keras.distribution.stop_request import StopRequest
from bt_keras.errors import StoppedError, UsageError, one_line

NAMES = ("auto", "one", "mirrored", "multi_worker", "tpu")
# Exceptions of TensorFlow in a step when another worker is lost.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def make(name: str = "auto", cluster: Cluster | None = None) -> tf.distribute.Strategy:
    """Creates the strategy of a run, before any operation of TensorFlow.

    Args:
        name: String. Defaults to `"auto"`. One of
            - `"auto"`: all workers of a cluster; otherwise all GPUs, a TPU if one
              responds, or the CPU;
            - `"one"`: the first GPU, or the CPU;
            - `"mirrored"`: all GPUs of this machine, or all its logical CPU devices;
            - `"multi_worker"`: all workers of the cluster, with all their GPUs;
            - `"tpu"`: the TPU that `TPU_NAME` names, or this machine's.
        cluster: `Cluster` of several workers. Defaults to `None`.

    Returns:
        `tf.distribute.Strategy`.

    Raises:
        UsageError: If the name is unknown or this machine lacks the devices.
    """
    if name not in NAMES:
        raise UsageError(f"--strategy={name} is not one of {', '.join(NAMES)}.")
    if name == "auto":
        name = _best(cluster)
        if name == "tpu":
            return _tpu_or_one()
    if name == "multi_worker":
        return _multi_worker(cluster)
    if name == "tpu":
        return _tpu()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        names = [device.name for device in tf.config.list_logical_devices(kind)]
        return tf.distribute.MirroredStrategy(names)
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes the files that all workers share."""
    return _worker(strategy)[0] == 0


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of processes that train together under a strategy."""
    return _worker(strategy)[1]


def _worker(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Returns the index of this process and the number of processes."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    jobs = resolver.cluster_spec().as_dict()
    chiefs, workers = len(jobs.get("chief", [])), len(jobs.get("worker", []))
    if chiefs + workers < 2:
        return 0, 1
    before = chiefs if resolver.task_type == "worker" else 0
    return before + resolver.task_id, chiefs + workers


def _best(cluster):
    if cluster and len(cluster.workers) > 1:
        return "multi_worker"
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus:
        return "mirrored" if gpus > 1 else "one"
    if devices.gpu_is_unused():
        logging.warning(
            "This machine has an NVIDIA GPU that TensorFlow does not see: install its "
            "CUDA libraries, pip install 'tensorflow[and-cuda]'. Training uses the CPU."
        )
    return "tpu" if _has_tpu() else "one"


def _tpu_or_one():
    try:
        return _tpu()
    except UsageError as error:
        logging.warning("%s Training continues without it.", error)
        return tf.distribute.get_strategy()


def _multi_worker(cluster):
    if cluster is None:
        raise UsageError(
            "--strategy=multi_worker needs a cluster: set TF_CONFIG on each worker "
            f"to {clusters.EXAMPLE}, or start them with srun in a SLURM job."
        )
    os.environ["TF_CONFIG"] = clusters.to_tf_config(cluster)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"cannot connect to the workers {', '.join(cluster.workers)}: "
            f"{one_line(error, None)}"
        ) from error


def _has_tpu():
    """Returns whether there may be a TPU; a failing connection takes minutes."""
    named = os.environ.get("TPU_NAME") or os.environ.get("COLAB_TPU_ADDR")
    return bool(named or os.path.exists("/dev/accel0") or os.path.exists("/dev/vfio/0"))


def _tpu():
    if not _has_tpu():
        raise UsageError(
            "--strategy=tpu finds no TPU: set TPU_NAME, or use a machine with a TPU."
        )
    try:
        name = os.environ.get("TPU_NAME", "local")
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    # The resolver raises various exceptions.
    except Exception as error:
        raise UsageError(
            f"--strategy=tpu: the TPU does not respond ({one_line(error, None)})."
        ) from error


def check_agreement(strategy: tf.distribute.Strategy, numbers: dict[str, int]) -> None:
    """Checks that all workers have the same numbers.

    Args:
        strategy: `tf.distribute.Strategy`.
        numbers: Dict from the description of a number to its value on this worker.

    Raises:
        UsageError: If a number differs between workers.
    """
    if num_workers(strategy) == 1:
        return
    own = tf.constant([list(numbers.values())], tf.int64)

    @tf.function(autograph=False)
    def gather():
        return strategy.gather(strategy.run(lambda: own), axis=0)

    rows = gather()
    for description, column in zip(numbers, rows.numpy().T, strict=True):
        if len(set(column)) > 1:
            values = ", ".join(map(str, column))
            raise UsageError(
                f"the workers do not have the same {description}: {values}."
            )


@contextlib.contextmanager
def raise_on_all_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Raises a `UsageError` of one worker on all workers.

    All workers must enter this context, or the others deadlock at its end.

    Args:
        strategy: `tf.distribute.Strategy`.
    """
    error = None
    try:
        yield
    except UsageError as own:
        error = own
    StopRequest(strategy, num_workers(strategy)).reason(error)


def lost_worker(
    error: tf.errors.OpError, strategy: tf.distribute.Strategy
) -> str | None:
    """Returns which worker is lost, if an error of TensorFlow means that.

    Args:
        error: `tf.errors.OpError`.
        strategy: `tf.distribute.Strategy`.

    Returns:
        String such as "worker 1"; `None` for other errors.
    """
    own, count = _worker(strategy)
    text = str(error)
    if count == 1 or not (isinstance(error, _LOST) or "Collective ops is" in text):
        return None
    named = re.findall(r"/job:(?:worker|chief)/replica:\d+/task:(\d+)", text)
    others = [number for number in named if int(number) != own]
    return f"worker {others[-1]}" if others else "another worker"


@contextlib.contextmanager
def stopped_by_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Raises `StoppedError` for errors of TensorFlow that mean a lost worker.

    Args:
        strategy: `tf.distribute.Strategy`.
    """
    try:
        yield
    except tf.errors.OpError as error:
        lost = lost_worker(error, strategy)
        if not lost:
            raise
        raise StoppedError(
            f"{lost} of the {num_workers(strategy)} stopped responding; the same "
            "command on all workers resumes from the last checkpoint"
        ) from error
