"""The cluster: the addresses of all workers, from TF_CONFIG or SLURM."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bt_keras.errors import UsageError, one_line

# An example of TF_CONFIG, for messages.
EXAMPLE = (
    '{"cluster": {"worker": ["host0:8888", "host1:8888"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]+)")
_PORT = 8888  # As TensorFlow for SLURM; further tasks of a node use the next ports.
_PORTS_PER_JOB = 16


@dataclass(frozen=True)
class Cluster:
    """The processes that train together, and the index of this process.

    Args:
        workers: Tuple of strings `"host:port"`, in the order of their ranks.
        index: Integer >= 0, the rank of this process.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Boolean, whether this process is the first worker."""
        return self.index == 0

    @property
    def address(self) -> str:
        """String, `"host:port"` of this process."""
        return self.workers[self.index]

    def name(self, index: int) -> str:
        """Returns the name of a worker for messages."""
        return f"worker {index} ({self.workers[index]})"


def from_environment(environ: Mapping[str, str] = os.environ) -> Cluster | None:
    """Returns the cluster of this process.

    Args:
        environ: Mapping of environment variables. TF_CONFIG has precedence over the
            step of a SLURM job, for which TensorFlow reads `os.environ`. Defaults to
            `os.environ`.

    Returns:
        `Cluster`, or `None` for a process that was started alone.

    Raises:
        UsageError: If TF_CONFIG or the SLURM variables are invalid.
    """
    text = environ.get("TF_CONFIG", "").strip()
    if text not in ("", "{}"):
        return _from_tf_config(text)
    # A single task is not a cluster, as in `salloc` and `sbatch` scripts.
    if environ.get("SLURM_STEP_NUM_TASKS", "1") not in ("", "1"):
        return _from_slurm(environ)
    return None


def to_tf_config(cluster: Cluster) -> str:
    """Returns the value of TF_CONFIG for a cluster."""
    return json.dumps(
        {
            "cluster": {"worker": list(cluster.workers)},
            "task": {"type": "worker", "index": cluster.index},
        }
    )


def host_and_port(address: Any) -> tuple[str, int] | None:
    """Returns `(host, port)` of `"host:port"`, or None if it has another form."""
    match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    return (match[1].strip("[]"), int(match[2])) if match else None


def _from_tf_config(text: str) -> Cluster:
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        near = text[max(error.pos - 20, 0) : error.pos + 20]
        raise _wrong(
            f"is not JSON: {error.msg} at character {error.pos + 1}, in {near!r}"
        ) from error
    if not isinstance(config, dict):
        raise _wrong(f"is {_short(config)}, not an object")
    chiefs, workers = _jobs(config.get("cluster"))
    addresses = (*chiefs, *workers)
    _check_addresses(addresses)
    kind, index = _task(config.get("task"))
    count = len(chiefs if kind == "chief" else workers)
    if not 0 <= index < count:
        raise _wrong(
            f"has task.index {index}, but cluster.{kind} has {count} (0 is the first)"
        )
    return Cluster(addresses, index + (len(chiefs) if kind == "worker" else 0))


def _jobs(cluster: Any) -> tuple[list, list]:
    """Returns the lists of chiefs and workers; TensorFlow ranks the chief first."""
    if not isinstance(cluster, dict):
        raise _wrong(f"has no cluster object, but {_short(cluster)}")
    for job, addresses in cluster.items():
        if job not in ("chief", "worker") and addresses:
            raise _wrong(f"has {job!r} in its cluster; all processes must be workers")
        if not isinstance(addresses, list):
            raise _wrong(f"has cluster.{job} {_short(addresses)}, not a list")
    chiefs, workers = cluster.get("chief", []), cluster.get("worker", [])
    if len(chiefs) > 1:
        raise _wrong(f"has {len(chiefs)} addresses in cluster.chief; there must be one")
    if not (chiefs or workers):
        raise _wrong("has no workers in its cluster")
    return chiefs, workers


def _check_addresses(addresses):
    for index, address in enumerate(addresses):
        parts = host_and_port(address)
        if not parts:
            raise _wrong(f"has the address {_short(address)}, which is not host:port")
        if not 0 < parts[1] < 2**16:
            raise _wrong(f"has the address {address}; a port must lie in [1, 65535]")
        if address in addresses[:index]:
            raise _wrong(f"has the address {address} twice; each worker needs its own")


def _task(task):
    if not isinstance(task, dict):
        raise _wrong(f"has no task object, but {_short(task)}")
    for field in ("type", "index"):
        if field not in task:
            raise _wrong(f"has no task.{field}")
    kind, index = task["type"], task["index"]
    if kind not in ("chief", "worker"):
        raise _wrong(f"has task.type {_short(kind)}; all processes must be workers")
    if type(index) is not int:  # True is an int to `isinstance`.
        raise _wrong(f"has task.index {_short(index)}, not an integer")
    return kind, index


def _from_slurm(environ):
    import tensorflow as tf

    try:
        # The resolver counts GPUs with nvidia-smi and lists only tasks that have one.
        # With these numbers it lists all tasks on any node. It assigns no GPUs to
        # tasks, because SLURM does (`srun --gpus-per-task`).
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=_first_port(environ),
            gpus_per_node=2**16,
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        workers = tuple(resolver.cluster_spec().job_tasks("worker"))
        return Cluster(workers, _rank(workers, resolver.task_id, environ))
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            f"SLURM: cannot list the workers of this step: {error} Start them with "
            f"`srun`, or set TF_CONFIG on each, such as {EXAMPLE}."
        ) from error


def _first_port(environ):
    """Returns a port that differs between jobs, which may share a node."""
    job = environ.get("SLURM_JOB_ID", "0")
    return _PORT + _PORTS_PER_JOB * (int(job) % 1000 if job.isdecimal() else 0)


def _rank(workers, index, environ):
    """Returns the index of this task by its node, or else the resolver's index.

    The resolver sorts nodes by name and fills one after the other. SLURM may rank the
    tasks differently: node10 after node9, or `--distribution=cyclic`.
    """
    node, local = environ.get("SLURMD_NODENAME"), environ.get("SLURM_LOCALID")
    own = f"{node}:{_first_port(environ) + int(local)}" if node and local else None
    if own in workers:
        return workers.index(own)
    if index is None:
        raise ValueError("SLURM_PROCID is not below SLURM_STEP_NUM_TASKS.")
    return index


def _wrong(problem: str) -> UsageError:
    return UsageError(f"TF_CONFIG {problem}. Example: {EXAMPLE}.")


def _short(value):
    return one_line(json.dumps(value), 60)
