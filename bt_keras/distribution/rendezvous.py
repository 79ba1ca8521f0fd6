"""Connect all workers over TCP and compare their settings before TensorFlow starts.

TensorFlow's own servers wait long for a missing worker, and do not detect that two
workers have different configs. So the workers first connect to the port that the
chief's server will use. Each sends one line of JSON, `{"index", "settings"}`, the chief
sends one to all, `{"value", "error"}`, and each worker confirms it and disconnects.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable
from typing import Any

from bt_keras.distribution.chief_server import (
    GRACE,
    RECEIVED,
    ConnectedWorkers,
    disconnected,
)
from bt_keras.distribution.cluster import Cluster, host_and_port
from bt_keras.distribution.sockets import Wait, close_at_once, listen
from bt_keras.errors import UsageError, one_line

_RETRY = 0.2  # seconds between attempts to connect
_SHOWN = 3  # differences in a message


def meet(
    cluster: Cluster,
    settings: dict,
    timeout: float,
    start_check: Callable[[], Any] | None = None,
) -> Any:
    """Waits for all workers, compares their settings and runs the chief's check.

    Args:
        cluster: `Cluster`.
        settings: Flat dict from strings to JSON values that must be equal on all
            workers. The addresses of the cluster are compared as well.
        timeout: Float >= 0, seconds to wait for the other workers.
        start_check: Function without arguments that returns a JSON value. Only the
            chief calls it, when all workers are connected and have equal settings.
            Defaults to `None`.

    Returns:
        On every worker what `start_check` returned, after a round trip through JSON.

    Raises:
        UsageError: On all workers, if a worker is missing, disconnects or has other
            settings, or if `start_check` raises it; on one worker, if its port is in
            use or it cannot connect to the chief.
    """
    listener = listen(cluster)
    settings = {"cluster.workers": cluster.workers, **settings}
    if cluster.is_chief:
        return _run_chief(listener, cluster, settings, timeout, start_check)
    listener.close()  # It only checked that the port is free for TensorFlow.
    return _run_worker(cluster, settings, timeout)


def _run_chief(listener, cluster, settings, timeout, start_check):
    with contextlib.closing(ConnectedWorkers(cluster)) as workers:
        try:
            with listener:
                workers.gather(listener, timeout)
            _compare(cluster, {0: settings, **workers.settings()})
            value = json.loads(json.dumps(start_check() if start_check else None))
        except UsageError as error:
            workers.send({"value": None, "error": str(error)})
            raise
        lost = workers.send({"value": value, "error": None})
    if lost:
        raise disconnected(", ".join(map(cluster.name, lost)))
    return value


def _compare(cluster, settings):
    # Compare the JSON text, in which NaN equals itself, and 1 is neither 1.0 nor true.
    texts = {
        index: {field: json.dumps(value) for field, value in own.items()}
        for index, own in sorted(settings.items())
    }
    ours = texts[0]
    for index, theirs in texts.items():
        fields = [f for f in {**ours, **theirs} if ours.get(f) != theirs.get(f)]
        if fields:
            shown = "; ".join(
                f"{f} is {_short(theirs.get(f))}, not {_short(ours.get(f))}"
                for f in fields[:_SHOWN]
            )
            more = f"; and {len(fields) - _SHOWN} more" if fields[_SHOWN:] else ""
            raise UsageError(
                f"{cluster.name(index)} differs from the chief, {cluster.name(0)}: "
                f"{shown}{more}. Start all workers with the same config and the same "
                "software versions."
            )


def _short(text):
    return "(none)" if text is None else one_line(text, 100)


def _run_worker(cluster, settings, timeout):
    """Sends the settings to the chief and returns its answer."""
    chief = f"the chief, {cluster.name(0)},"
    hello = json.dumps({"index": cluster.index, "settings": settings}).encode() + b"\n"
    with _connect(cluster, chief, timeout) as connection:
        try:
            connection.settimeout(timeout)
            connection.sendall(hello)
            # The chief started to wait earlier than this worker, so it ends earlier.
            line = _read_line(connection, Wait(timeout + GRACE), f"{chief} to answer")
            answer = json.loads(line)
            value, error = answer["value"], answer["error"]
            connection.sendall(RECEIVED)
        except OSError as failure:
            raise UsageError(
                f"{chief} accepted the connection, but: {_reason(failure)}. See its "
                "log, and check that TF_CONFIG lists the same cluster on all workers."
            ) from failure
        except (ValueError, TypeError, KeyError) as failure:
            raise UsageError(
                f"{chief} answers {_short(repr(line))}: another program uses this "
                "port. Give the chief another port in the TF_CONFIG of all workers."
            ) from failure
    if error is not None:
        raise UsageError(error)
    return value


def _connect(cluster, chief, timeout):
    wait, reason = Wait(timeout), "no answer"
    host, port = host_and_port(cluster.workers[0])
    while seconds := wait.seconds_left(f"{chief} {reason}"):
        try:
            connection = socket.create_connection((host, port), seconds)
            # The local port stays in TIME_WAIT, and another worker may need it.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # If no process listens, TCP may connect a local port to itself.
            if connection.getsockname() != connection.getpeername():
                return connection
            close_at_once(connection)
        except OSError as error:
            reason = _reason(error)
        time.sleep(min(_RETRY, seconds))
    raise UsageError(
        f"{chief} could not be reached within {timeout:g} s: {reason}. Check that it "
        "runs, and its address in TF_CONFIG."
    )


def _read_line(connection, wait, target):
    line = b""
    while not line.endswith(b"\n"):
        seconds = wait.seconds_left(target)
        if not seconds:
            raise TimeoutError
        connection.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            data = connection.recv(2**16)
            if not data:
                raise ConnectionError("the connection was closed without an answer")
            line += data
    return line


def _reason(error):
    if isinstance(error, TimeoutError):
        return "no answer"
    return error.strerror or str(error)
