"""Who trains together: the workers' addresses, from TF_CONFIG or from SLURM."""

import json
import os
import re
from dataclasses import dataclass

from bt_keras.errors import UsageError

_EXAMPLE = (
    '{"cluster": {"worker": ["host0:8888", "host1:8888"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]+)")
_PORT = 8888  # TensorFlow's for SLURM; further tasks of a node take the next ones.
_PORTS_OF_A_JOB = 16


@dataclass(frozen=True)
class Cluster:
    """The processes that train together, and which of them this one is.

    Args:
        workers: tuple of str `"host:port"`, in the order of their ranks.
        index: int, the rank of this process.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self):
        return self.index == 0

    @property
    def address(self):
        return self.workers[self.index]

    def name(self, index):
        """Returns str, what messages call a worker."""
        return f"worker {index} ({self.workers[index]})"


def from_environment(environ=os.environ):
    """Finds the cluster that this process was started in.

    Args:
        environ: mapping of environment variables. TF_CONFIG comes first, then the
            step of a SLURM job; for that one TensorFlow reads `os.environ` itself.

    Returns:
        A `Cluster`, or None for a process that was started alone.

    Raises:
        UsageError: if TF_CONFIG or the SLURM variables cannot be understood.
    """
    text = environ.get("TF_CONFIG", "").strip()
    if text not in ("", "{}"):
        return _from_tf_config(text)
    # A single task is a process like any other, as in `salloc` and `sbatch` scripts.
    if environ.get("SLURM_STEP_NUM_TASKS", "1") not in ("", "1"):
        return _from_slurm(environ)
    return None


def to_tf_config(cluster):
    """Returns str, the value of TF_CONFIG that tells TensorFlow the same cluster."""
    return json.dumps(
        {
            "cluster": {"worker": list(cluster.workers)},
            "task": {"type": "worker", "index": cluster.index},
        }
    )


def host_and_port(address):
    """Returns `(host, port)`, str and int, of `"host:port"`, or None for another."""
    match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    return match and (match[1].strip("[]"), int(match[2]))


def _from_tf_config(text):
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


def _jobs(cluster):
    """Returns the lists of chiefs and workers; TensorFlow ranks a chief first."""
    if not isinstance(cluster, dict):
        raise _wrong(f"has no cluster object, but {_short(cluster)}")
    for job, addresses in cluster.items():
        if job not in ("chief", "worker") and addresses:
            raise _wrong(f"has {job!r} in its cluster; here all are workers")
        if not isinstance(addresses, list):
            raise _wrong(f"has cluster.{job} {_short(addresses)}, not a list")
    chiefs, workers = cluster.get("chief", []), cluster.get("worker", [])
    if len(chiefs) > 1:
        raise _wrong(f"has {len(chiefs)} addresses in cluster.chief; it must be one")
    if not (chiefs or workers):
        raise _wrong("has no workers in its cluster")
    return chiefs, workers


def _check_addresses(addresses):
    for index, address in enumerate(addresses):
        parts = host_and_port(address)
        if not parts:
            raise _wrong(f"has the address {_short(address)}, which is not host:port")
        if not 0 < parts[1] < 2**16:
            raise _wrong(f"has the address {address}; a port lies in [1, 65535]")
        if address in addresses[:index]:
            raise _wrong(f"has the address {address} twice; each worker has its own")


def _task(task):
    if not isinstance(task, dict):
        raise _wrong(f"has no task object, but {_short(task)}")
    for field in ("type", "index"):
        if field not in task:
            raise _wrong(f"has no task.{field}")
    kind, index = task["type"], task["index"]
    if kind not in ("chief", "worker"):
        raise _wrong(f"has task.type {_short(kind)}; here all are workers")
    if type(index) is not int:  # True is an int to `isinstance`.
        raise _wrong(f"has task.index {_short(index)}, not an integer")
    return kind, index


def _from_slurm(environ):
    import tensorflow as tf

    try:
        # The resolver lists as many tasks of a node as it has GPUs for, which it counts
        # with nvidia-smi. Told of one for each, it lists all tasks anywhere; it sets
        # none, since SLURM does (`srun --gpus-per-task`).
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=_first_port(environ),
            gpus_per_node=2**16,
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        workers = tuple(resolver.cluster_spec().job_tasks("worker"))
        return Cluster(workers, _place(workers, resolver.task_id, environ))
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            f"SLURM: cannot tell the workers of this step: {error} Start them with "
            f"`srun`, or set TF_CONFIG in each, as in {_EXAMPLE}."
        ) from error


def _first_port(environ):
    """Jobs that share a node have ports of their own, as far as they reach."""
    job = environ.get("SLURM_JOB_ID", "0")
    return _PORT + _PORTS_OF_A_JOB * (int(job) % 1000 if job.isdecimal() else 0)


def _place(workers, index, environ):
    """Finds this task among the workers by where it runs, else takes the resolver's.

    The resolver sorts nodes by name and fills one after the other. SLURM may have
    ranked the tasks otherwise: node10 after node9, or `--distribution=cyclic`.
    """
    node, local = environ.get("SLURMD_NODENAME"), environ.get("SLURM_LOCALID")
    own = f"{node}:{_first_port(environ) + int(local)}" if node and local else None
    if own in workers:
        return workers.index(own)
    if index is None:
        raise ValueError("SLURM_PROCID is not below SLURM_STEP_NUM_TASKS.")
    return index


def _wrong(what):
    return UsageError(f"TF_CONFIG {what}. It must be like {_EXAMPLE}.")


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
