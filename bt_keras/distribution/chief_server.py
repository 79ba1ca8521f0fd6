"""The chief's side of a meeting: who has come, what they say, and the answer."""

import contextlib
import json
import selectors
import socket
import time
from dataclasses import dataclass

from bt_keras.distribution.sockets import Wait, close_at_once
from bt_keras.errors import UsageError

GRACE = 5.0  # seconds to take an answer
RECEIVED = b"received\n"  # what a worker says to it
_LONGEST = 2**20  # bytes of a worker's line


@dataclass(eq=False)
class _Guest:
    """Who has connected to the chief: a stranger until it has said its index."""

    connection: socket.socket
    host: str
    line: bytes = b""
    index: int | None = None
    card: dict | None = None


class Guests:
    """All who have connected to the chief.

    Args:
        cluster: `Cluster`.
    """

    def __init__(self, cluster):
        self._cluster = cluster
        self._all = []

    def _workers(self):
        return [guest for guest in self._all if guest.index is not None]

    def cards(self):
        """Returns the workers' cards by index."""
        return {guest.index: guest.card for guest in self._workers()}

    def gather(self, listener, timeout):
        """Waits until all workers have sent their cards."""
        wait = Wait(timeout)
        listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while missing := self._missing():
                left = wait.left(missing)
                if not left:
                    raise UsageError(
                        f"{missing} did not come within {timeout:g} s: see what it "
                        "says, and that all have the same cluster in TF_CONFIG."
                    )
                for key, _ in selector.select(left):
                    if key.fileobj is listener:
                        self._admit(listener, selector)
                    elif not self._hear(key.data):
                        selector.unregister(key.fileobj)
                        close_at_once(key.fileobj)
                        self._all.remove(key.data)

    def _missing(self):
        here = {0, *self.cards()}
        absent = (i for i in range(len(self._cluster.workers)) if i not in here)
        return ", ".join(map(self._cluster.name, absent))

    def _admit(self, listener, selector):
        with contextlib.suppress(OSError):  # It may be gone again.
            connection, address = listener.accept()
            connection.setblocking(False)
            guest = _Guest(connection, address[0].removeprefix("::ffff:"))
            self._all.append(guest)
            selector.register(connection, selectors.EVENT_READ, guest)

    def _hear(self, guest):
        """Reads what a guest says; returns False if it will not turn out a worker."""
        try:
            data = guest.connection.recv(2**16)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if guest.index is not None:
            if not data:
                raise gone(self._cluster.name(guest.index))
            return True
        guest.line += data
        if not data or len(guest.line) > _LONGEST:
            return False
        return self._recognise(guest) if b"\n" in data else True

    def _recognise(self, guest):
        """Makes a guest a worker if its line says so; returns whether it does."""
        try:
            hello = json.loads(guest.line)
            index, card = hello["index"], hello["card"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        if type(index) is not int or not isinstance(card, dict):
            return False
        if not 0 < index < len(self._cluster.workers):
            return False
        same = [other.host for other in self._workers() if other.index == index]
        guest.index, guest.card = index, card
        if same:  # Both are told.
            raise UsageError(
                f"two processes say that they are {self._cluster.name(index)}, on "
                f"{same[0]} and {guest.host}: give each a task.index of its own in "
                "TF_CONFIG."
            )
        return True

    def tell(self, answer):
        """Sends all workers the answer; returns the indices of those without it."""
        line = json.dumps(answer).encode() + b"\n"
        end = time.monotonic() + GRACE
        for guest in self._workers():
            with contextlib.suppress(OSError):
                guest.connection.settimeout(max(end - time.monotonic(), 0))
                guest.connection.sendall(line)
        return [g.index for g in self._workers() if not _has_received(g, end)]

    def close(self):
        for guest in self._all:
            close_at_once(guest.connection)


def _has_received(guest, end):
    # Up to its end: who closes first leaves its port taken for a minute (TIME_WAIT),
    # and that must not be the chief.
    received = b""
    with contextlib.suppress(OSError):
        data = None
        while data != b"":
            guest.connection.settimeout(max(end - time.monotonic(), 0))
            data = guest.connection.recv(2**10)
            received += data
    return received == RECEIVED


def gone(name):
    return UsageError(f"{name} went away before the start: see what it says.")
