"""Connections to the chief that misbehave."""

import contextlib
import json
import socket
import threading

import pytest

from tests.distribution.meeting import (
    error_of,
)


def test_a_worker_that_dies_during_the_wait_is_named_at_once(meeting):
    four = meeting(4)
    chief = four.join(0)
    with four.connect() as living, living.makefile("rb") as answers:
        living.sendall(four.hello(1))
        with four.connect() as dying:
            dying.sendall(four.hello(2))
        error = error_of_answer(answers, living)
        assert error.startswith(f"{four.name(2)} disconnected")
        assert error_of(chief) == error


def error_of_answer(answers, connection):
    """Returns the error that the chief sent, and confirms it as a worker does."""
    error = json.loads(answers.readline())["error"]
    connection.sendall(b"received\n")
    connection.shutdown(socket.SHUT_WR)
    return error


def test_a_worker_that_dies_during_the_start_check_is_named(meeting):
    two = meeting(2)
    started, dead = threading.Event(), threading.Event()
    chief = two.join(0, start_check=lambda: started.set() or dead.wait())
    with two.connect() as dying:
        dying.sendall(two.hello(1))
        started.wait()
    dead.set()
    assert error_of(chief).startswith(f"{two.name(1)} disconnected")


@pytest.mark.parametrize("size", [1, 50_000_000])
def test_a_worker_that_does_not_read_the_answer_is_named(meeting, impatient, size):
    three = meeting(3)
    chief, worker = (three.join(i, start_check=lambda: "x" * size) for i in (0, 1))
    with three.connect() as frozen:
        frozen.sendall(three.hello(2))
        assert three.name(2) in error_of(chief)
    assert worker.exception() is None or size > 1


def test_other_programs_are_ignored(meeting):
    three = meeting(3)
    chief, worker = (three.join(i, start_check=lambda: 7) for i in (0, 1))
    with three.connect(), three.connect() as slow:  # The first never sends anything.
        slow.sendall(b'{"index":')
        for line in (
            b"",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\xff\xfe\n",
            b"[" * 100_000 + b"\n",
            b"[]\n",
            b"{}\n",
            b'{"index": 1}\n',
            b'{"index": 1, "settings": 0}\n',
            b'{"index": "1", "settings": {}}\n',
            b'{"index": true, "settings": {}}\n',
            b'{"index": 0, "settings": {}}\n',
            b'{"index": 3, "settings": {}}\n',
            b'{"index": -1, "settings": {}}\n',
            three.hello(2) * 2,
            three.hello(2, {"long": "x" * 2**20}),
            b"x" * (2**20 + 1),
        ):
            assert is_disconnected(three.connect(), line), line[:30]
        assert three.join(2).result() == 7
        assert (chief.result(), worker.result()) == (7, 7)


def is_disconnected(connection, line):
    with connection:
        try:
            connection.sendall(line)
            if not line:
                connection.shutdown(socket.SHUT_WR)
            return connection.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True


def test_two_workers_with_the_same_index_are_named_on_both(meeting):
    three = meeting(3)
    chief = three.join(0)
    with contextlib.ExitStack() as stack:
        twins = [stack.enter_context(three.connect()) for _ in range(2)]
        for twin in twins:
            twin.sendall(three.hello(1))
        errors = [
            error_of_answer(stack.enter_context(twin.makefile("rb")), twin)
            for twin in twins
        ]
        assert f"two processes are {three.name(1)}, on 127.0" in errors[0]
        assert errors == [error_of(chief)] * 2
