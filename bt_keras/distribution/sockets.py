"""Sockets that release their ports at once, and waits with a timeout."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time

from bt_keras.distribution.cluster import Cluster
from bt_keras.errors import UsageError

_NOTICE = 3.0  # seconds until a message about the wait is printed


def listen(cluster: Cluster) -> socket.socket:
    """Opens this worker's port as TensorFlow does: on all interfaces, IPv6 and IPv4.

    Args:
        cluster: `Cluster`.

    Returns:
        Listening socket.

    Raises:
        UsageError: If the port cannot be opened.
    """
    port = int(cluster.address.rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(
            ("", port), family=family, dualstack_ipv6=both, backlog=socket.SOMAXCONN
        )
    except OSError as error:
        cause = "another process uses it, perhaps an earlier run that is still ending; "
        raise UsageError(
            f"port {port} of {cluster.name(cluster.index)} cannot be opened "
            f"({os.strerror(error.errno or 0)}): "
            f"{cause if error.errno == errno.EADDRINUSE else ''}end that process, or "
            "give this worker another port in the TF_CONFIG of all workers."
        ) from error


def close_at_once(connection: socket.socket) -> None:
    """Closes a connection without leaving its port in TIME_WAIT."""
    with contextlib.suppress(OSError):  # To linger for 0 s resets the connection.
        linger = struct.pack("ii", True, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


class Wait:
    """A wait with a timeout that prints once what it waits for.

    Args:
        timeout: Float >= 0, seconds.
    """

    def __init__(self, timeout: float):
        self._timeout, self._start, self._printed = timeout, time.monotonic(), False

    def seconds_left(self, target: str) -> float:
        """Returns how long to wait before the next call, or 0 after the timeout.

        Args:
            target: String, what the wait is for.
        """
        waited = time.monotonic() - self._start
        if waited >= _NOTICE and not self._printed:
            self._printed = True
            left = max(self._timeout - waited, 0)
            print(f"waiting for {target}, at most {left:.0f} s more", flush=True)
        end = self._timeout if self._printed else min(self._timeout, _NOTICE)
        return max(end - waited, 0)
