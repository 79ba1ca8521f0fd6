"""The chief's side of the rendezvous: connected workers and the chief's answer."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
from dataclasses import dataclass

from bt_keras.distribution.cluster import Cluster
from bt_keras.distribution.sockets import Wait, close_at_once
from bt_keras.errors import UsageError

GRACE = 5.0  # seconds to receive the answer
RECEIVED = b"received\n"  # a worker's reply to the answer
_MAX_LINE = 2**20  # bytes of a worker's line


@dataclass(eq=False)
class _Client:
    """A connected process; its index is None until it has sent it."""

    connection: socket.socket
    host: str
    line: bytes = b""
    index: int | None = None
    settings: dict | None = None


class ConnectedWorkers:
    """The processes that are connected to the chief.

    Args:
        cluster: `Cluster`.
    """

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._clients = []

    def _workers(self):
        return [client for client in self._clients if client.index is not None]

    def settings(self) -> dict[int, dict]:
        """Returns a dict from each worker's index to its settings."""
        return {client.index: client.settings for client in self._workers()}

    def gather(self, listener: socket.socket, timeout: float) -> None:
        """Waits until all workers have sent their settings.

        Args:
            listener: Listening socket.
            timeout: Float >= 0, seconds.

        Raises:
            UsageError: If a worker does not connect in time or disconnects.
        """
        wait = Wait(timeout)
        listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while missing := self._missing():
                seconds = wait.seconds_left(missing)
                if not seconds:
                    raise UsageError(
                        f"{missing} did not connect within {timeout:g} s: see its log, "
                        "and check that TF_CONFIG lists the same cluster on all "
                        "workers."
                    )
                for key, _ in selector.select(seconds):
                    if key.fileobj is listener:
                        self._accept(listener, selector)
                    elif not self._read(key.data):
                        selector.unregister(key.fileobj)
                        close_at_once(key.data.connection)
                        self._clients.remove(key.data)

    def _missing(self) -> str:
        connected = {0, *self.settings()}
        indices = range(len(self._cluster.workers))
        return ", ".join(self._cluster.name(i) for i in indices if i not in connected)

    def _accept(self, listener, selector):
        with contextlib.suppress(OSError):  # The client may have disconnected.
            connection, address = listener.accept()
            connection.setblocking(False)
            client = _Client(connection, address[0].removeprefix("::ffff:"))
            self._clients.append(client)
            selector.register(connection, selectors.EVENT_READ, client)

    def _read(self, client) -> bool:
        """Reads from a client; returns False if it is not a worker."""
        try:
            data = client.connection.recv(2**16)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if client.index is not None:
            if not data:
                raise disconnected(self._cluster.name(client.index))
            return True
        client.line += data
        if not data or len(client.line) > _MAX_LINE:
            return False
        return self._identify(client) if b"\n" in data else True

    def _identify(self, client) -> bool:
        """Reads the index and settings from a client's line; returns if it has them."""
        try:
            hello = json.loads(client.line)
            index, settings = hello["index"], hello["settings"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        if type(index) is not int or not isinstance(settings, dict):
            return False
        if not 0 < index < len(self._cluster.workers):
            return False
        same = [other.host for other in self._workers() if other.index == index]
        client.index, client.settings = index, settings
        if same:  # Both receive the error.
            raise UsageError(
                f"two processes are {self._cluster.name(index)}, on {same[0]} and "
                f"{client.host}: give each its own task.index in TF_CONFIG."
            )
        return True

    def send(self, answer: dict) -> list[int]:
        """Sends the answer to all workers.

        Args:
            answer: Dict of JSON values.

        Returns:
            The indices of the workers that did not receive it.
        """
        line = json.dumps(answer).encode() + b"\n"
        end = time.monotonic() + GRACE
        for client in self._workers():
            with contextlib.suppress(OSError):
                client.connection.settimeout(max(end - time.monotonic(), 0))
                client.connection.sendall(line)
        return [c.index for c in self._workers() if not _has_received(c, end)]

    def close(self) -> None:
        """Closes all connections."""
        for client in self._clients:
            close_at_once(client.connection)


def _has_received(client, end) -> bool:
    # Read until the worker closes the connection: the side that closes first keeps its
    # port in TIME_WAIT for a minute, and that must not be the chief.
    received = b""
    with contextlib.suppress(OSError):
        data = None
        while data != b"":
            client.connection.settimeout(max(end - time.monotonic(), 0))
            data = client.connection.recv(2**10)
            received += data
    return received == RECEIVED


def disconnected(name: str) -> UsageError:
    """Returns the error for workers that disconnected before the start."""
    return UsageError(f"{name} disconnected before the start: see its log.")
