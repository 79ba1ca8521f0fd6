"""Ports, hosts and chiefs that cannot be reached, and messages of a wait."""

import socket

import pytest

from bt_keras import UsageError
from bt_keras.distribution import sockets
from bt_keras.distribution.cluster import Cluster
from bt_keras.distribution.rendezvous import meet
from tests.distribution.meeting import SETTINGS, addresses, error_of, port_of


def test_missing_workers_are_named(meeting):
    four = meeting(4)
    chief, worker = four.join(0, timeout=1), four.join(2)
    error = error_of(chief)
    assert error.startswith(
        f"{four.name(1)}, {four.name(3)} did not connect within 1 s"
    )
    assert error_of(worker) == error


def test_a_missing_chief_is_named(meeting):
    two = meeting(2)
    error = error_of(two.join(1, timeout=0.1))
    assert error.startswith(
        f"the chief, {two.name(0)}, could not be reached within 0.1"
    )
    assert "Connection refused" in error


def test_an_unknown_host_is_named(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    cluster = Cluster(("nowhere.invalid:80", *addresses(1)), 1)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UsageError, match=r"nowhere.invalid:80.* not known"):
        meet(cluster, SETTINGS, 0.1)


@pytest.mark.parametrize(
    ("says", "part"),
    [
        (None, "accepted the connection, but: no answer"),
        (b"", "accepted the connection, but: the connection was closed without"),
        (b"HTTP/1.1 400 Bad Request\r\n", "another program"),
        (b"[]\n", "another program"),
    ],
)
def test_a_chief_that_is_another_program_is_named(meeting, impatient, says, part):
    two = meeting(2)
    with socket.create_server(("", port_of(two.workers[0]))) as server:
        worker = two.join(1, timeout=0.2)
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as file:
            file.readline()
            if says is not None:
                connection.sendall(says)
                connection.shutdown(socket.SHUT_WR)
            error = error_of(worker)
    assert two.name(0) in error
    assert part in error


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("host", ["", "127.0.0.1"])
def test_a_port_in_use_is_named(meeting, count, index, host):
    some = meeting(count)
    index = min(index, count - 1)
    port = port_of(some.workers[index])
    with socket.create_server((host, port)):
        error = error_of(some.join(index))
    assert error.startswith(f"port {port} of {some.name(index)} cannot be opened (Addr")
    assert "another process uses it" in error


def test_a_port_that_is_not_allowed_is_named(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(UsageError, match=r"port 80 .*\(Permission denied\)") as caught:
        meet(Cluster(("a:80",), 0), SETTINGS, 0)
    assert "another process" not in str(caught.value)


def test_a_connection_to_itself_is_not_the_chief(meeting, monkeypatch):
    def to_itself(address, timeout):
        connection = socket.socket()
        connection.bind(address)
        connection.connect(address)
        return connection

    two = meeting(2)
    monkeypatch.setattr(socket, "create_connection", to_itself)
    assert "could not be reached" in error_of(two.join(1, timeout=0.1))


def test_long_waits_print_once_what_they_wait_for(meeting, monkeypatch, capsys):
    monkeypatch.setattr(sockets, "_NOTICE", 0.1)
    two = meeting(2)
    error_of(two.join(0, timeout=0.5))
    line = f"waiting for {two.name(1)}, at most 0 s more\n"
    assert capsys.readouterr().out == line
    error_of(two.join(1, timeout=0.5))
    line = f"waiting for the chief, {two.name(0)}, Connection refused, at most 0 s more"
    assert capsys.readouterr().out == f"{line}\n"
    three = meeting(3)
    futures = [three.join(i, timeout=1) for i in range(2)]
    assert error_of(futures[0]) == error_of(futures[1])
    assert f"the chief, {three.name(0)}, to answer" in capsys.readouterr().out


def test_short_waits_print_nothing(meeting, capsys):
    error_of(meeting(2).join(0, timeout=0.1))
    assert capsys.readouterr().out == ""
