"""Starts processes for the tests: one command, or several workers."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(arguments, log, environment=None, cwd=ROOT):
    """Starts `python ARGUMENTS`, by default in the checkout.

    Args:
        arguments: list, such as `["-m", "bt_keras.cli", "pretrain", ...]`.
        log: path of the file that gets stdout and stderr.
        environment: optional dict of further variables.
        cwd: path of the folder to start in.

    Returns:
        `subprocess.Popen`.
    """
    with open(log, "w", encoding="utf-8") as file:
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
        )


def start_workers(arguments, logs, own=None):
    """Starts the same program as several workers on the loopback interface.

    Args:
        arguments: as for `start`.
        logs: list of paths, one per worker.
        own: optional dict from a worker's index to a dict of its own options: further
            `arguments`, `environment` variables, the `cwd`.

    Returns:
        list of `subprocess.Popen`.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(len(logs))]
    workers = []
    for index, log in enumerate(logs):
        options = dict((own or {}).get(index, {}))
        environment = options.pop("environment", {})
        environment = {"TF_CONFIG": tf_config(addresses, index), **environment}
        more = options.pop("arguments", [])
        workers.append(start([*arguments, *more], log, environment, **options))
    return workers


def tf_config(addresses, index):
    """Returns the TF_CONFIG of one worker, a JSON string."""
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def free_ports(count):
    """Finds ports without a listener, below the range of client ports."""
    sockets = []
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        candidate = socket.socket()
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            candidate.close()
            continue
        sockets.append(candidate)
        if len(sockets) == count:
            break
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def finish(processes, logs):
    """Waits for processes that must exit with status 0, or fails with their logs."""
    statuses = [process.wait() for process in processes]
    assert not any(statuses), "\n".join(
        Path(log).read_text(encoding="utf-8") for log in logs
    )
