"""From a name to a `tf.distribute.Strategy`, and what a run asks of one."""

import contextlib
import os
import re

import tensorflow as tf
from absl import logging

from bt_keras.distribution import cluster as clusters
from bt_keras.distribution.stop_request import StopRequest
from bt_keras.errors import UsageError, one_line

NAMES = ("auto", "one", "mirrored", "multi_worker", "tpu")
# What TensorFlow raises in a step when another worker is gone.
_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def make(name="auto", cluster=None):
    """Makes the strategy of a run. TensorFlow must not have been used before.

    Args:
        name: str, one of
            - "auto": several workers where there is a cluster of them; otherwise all
              GPUs, a TPU if one answers, or the CPU;
            - "one": the first GPU, or the CPU;
            - "mirrored": all GPUs of this machine, or all its logical CPU devices;
            - "multi_worker": all workers of the cluster, with all their GPUs;
            - "tpu": the TPU that `TPU_NAME` names, or this machine's.
        cluster: optional `Cluster`, for several workers.

    Returns:
        `tf.distribute.Strategy`.

    Raises:
        UsageError: for an unknown name, or one that this machine cannot serve.
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
        devices = tf.config.list_logical_devices(kind)
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def is_chief(strategy):
    """Whether this process writes what all workers of a strategy share."""
    return _worker(strategy)[0] == 0


def num_workers(strategy):
    """Returns int, how many processes train together under a strategy."""
    return _worker(strategy)[1]


def _worker(strategy):
    """`(index, count)` of this process."""
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
    return "tpu" if _has_tpu() else "one"


def _tpu_or_one():
    try:
        return _tpu()
    except UsageError as error:
        logging.warning("%s Training goes on without it.", error)
        return tf.distribute.get_strategy()


def _multi_worker(cluster):
    if cluster is None:
        raise UsageError(
            "--strategy=multi_worker needs to know the workers: set TF_CONFIG on each "
            'to {"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": '
            '"worker", "index": 0}}, or start them with srun in a SLURM job.'
        )
    os.environ["TF_CONFIG"] = clusters.to_tf_config(cluster)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"the workers {', '.join(cluster.workers)} cannot be joined: "
            f"{one_line(error, None)}"
        ) from error


def _has_tpu():
    """Whether there is a sign of a TPU: asking for one in vain takes minutes."""
    named = os.environ.get("TPU_NAME") or os.environ.get("COLAB_TPU_ADDR")
    return bool(named or os.path.exists("/dev/accel0") or os.path.exists("/dev/vfio/0"))


def _tpu():
    if not _has_tpu():
        raise UsageError(
            "--strategy=tpu finds no TPU: set TPU_NAME, or run on a machine that has "
            "one."
        )
    try:
        name = os.environ.get("TPU_NAME", "local")
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    # What the resolver raises depends on where it looks.
    except Exception as error:
        raise UsageError(
            f"--strategy=tpu: the TPU does not answer ({one_line(error, None)})."
        ) from error


def check_agreement(strategy, numbers):
    """Raises `UsageError` if the workers of a strategy do not have the same numbers.

    Args:
        strategy: `tf.distribute.Strategy`; one of a single worker always agrees.
        numbers: dict from what a number is, in words, to an int.
    """
    if num_workers(strategy) == 1:
        return
    own = tf.constant([list(numbers.values())], tf.int64)

    @tf.function(autograph=False)
    def everyone():
        return strategy.gather(strategy.run(lambda: own), axis=0)

    rows = everyone()
    for what, column in zip(numbers, rows.numpy().T, strict=True):
        if len(set(column)) > 1:
            values = ", ".join(map(str, column))
            raise UsageError(f"the workers do not have the same {what}: {values}.")


@contextlib.contextmanager
def raise_on_all_workers(strategy):
    """Lets a `UsageError` of one worker end all of them, at a point all come to."""
    error = None
    try:
        yield
    except UsageError as own:
        error = own
    StopRequest(strategy, num_workers(strategy)).reason(error)


def lost_worker(error, strategy):
    """Says which other worker is gone, if that is what an error of TensorFlow's means.

    Args:
        error: `tf.errors.OpError`.
        strategy: `tf.distribute.Strategy`.

    Returns:
        str, such as "worker 1"; None if it is another error.
    """
    own, count = _worker(strategy)
    text = str(error)
    if count == 1 or not (isinstance(error, _GONE) or "Collective ops is" in text):
        return None
    named = re.findall(r"/job:(?:worker|chief)/replica:\d+/task:(\d+)", text)
    others = [number for number in named if int(number) != own]
    return f"worker {others[-1]}" if others else "another worker"
