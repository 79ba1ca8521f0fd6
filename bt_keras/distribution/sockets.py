"""Sockets that leave nothing behind, and waits that end."""

import contextlib
import errno
import os
import socket
import struct
import time

from bt_keras.distribution.cluster import host_and_port
from bt_keras.errors import UsageError

_NOTICE = 3.0  # seconds until a wait is spoken of


def listen(cluster):
    """Opens this worker's port as TensorFlow will: everywhere, for IPv6 and IPv4."""
    port = host_and_port(cluster.address)[1]
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(
            ("", port), family=family, dualstack_ipv6=both, backlog=socket.SOMAXCONN
        )
    except OSError as error:
        taken = "another process has it, perhaps an earlier run that is still ending; "
        raise UsageError(
            f"port {port} of {cluster.name(cluster.index)} cannot be opened "
            f"({os.strerror(error.errno)}): "
            f"{taken if error.errno == errno.EADDRINUSE else ''}end what uses it, or "
            "give this worker another port in the TF_CONFIG of all workers."
        ) from error


def close_at_once(connection):
    with contextlib.suppress(OSError):  # Linger for 0 s: no TIME_WAIT here either.
        linger = struct.pack("ii", True, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


class Wait:
    """A wait with an end, which says once for whom it is.

    Args:
        timeout: float, seconds.
    """

    def __init__(self, timeout):
        self._timeout, self._start, self._told = timeout, time.monotonic(), False

    def left(self, whom):
        """Returns the seconds to wait before asking again, 0 at the end."""
        waited = time.monotonic() - self._start
        if waited >= _NOTICE and not self._told:
            self._told = True
            most = max(self._timeout - waited, 0)
            print(f"waiting for {whom}, at most {most:.0f} s more", flush=True)
        end = self._timeout if self._told else min(self._timeout, _NOTICE)
        return max(end - waited, 0)
