"""Rendezvous over real sockets: one thread per worker, and once processes."""

import contextlib
import json
import random
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bt_keras import UsageError
from bt_keras.distribution import chief_server, rendezvous, sockets
from bt_keras.distribution.cluster import Cluster
from bt_keras.distribution.rendezvous import meet

SETTINGS = {"config.batch_size": 8, "versions.tensorflow": "2.21.0"}
LONG = 30  # seconds; no test waits that long


def addresses(count):
    """Addresses of free ports outside the range that the system gives to clients."""
    ports = random.Random().sample(range(20000, 32000), 100)
    free = [port for port in ports if is_free(port)]
    return tuple(f"127.0.0.1:{port}" for port in free[:count])


def port_of(address):
    return int(address.rpartition(":")[2])


def is_free(port):
    try:
        socket.create_server(("", port)).close()  # With SO_REUSEADDR, as gRPC.
    except OSError:
        return False
    return True


class Meeting:
    """Workers in threads: `join` starts one, `outcome` waits for it."""

    def __init__(self, count):
        self.workers = addresses(count)
        self.threads = ThreadPoolExecutor(count)
        self.futures = []

    def join(self, index, settings=SETTINGS, timeout=LONG, start_check=None):
        cluster = Cluster(self.workers, index)
        future = self.threads.submit(meet, cluster, settings, timeout, start_check)
        self.futures.append(future)
        return future

    def connect(self):
        """A bare connection to the chief, which must have been started."""
        chief = ("127.0.0.1", port_of(self.workers[0]))
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection(chief, LONG)

    def hello(self, index, settings=SETTINGS):
        settings = {"cluster.workers": self.workers, **settings}
        return json.dumps({"index": index, "settings": settings}).encode() + b"\n"

    def name(self, index):
        return f"worker {index} ({self.workers[index]})"


@pytest.fixture
def meeting():
    """`meeting(count)`; at the end all threads have ended and all ports are free."""
    made = []

    def make(count):
        made.append(Meeting(count))
        return made[-1]

    yield make
    for meeting in made:
        meeting.threads.shutdown()
        assert all(is_free(port_of(address)) for address in meeting.workers)


def error_of(future):
    """Returns the one-line error of a worker that must fail."""
    error = future.exception()
    assert isinstance(error, UsageError), repr(error)
    assert "\n" not in str(error)
    return str(error)


def test_all_workers_get_the_result_of_the_start_check(meeting):
    three = meeting(3)
    calls = []

    def start_check():
        calls.append(threading.get_ident())
        return {"epoch": 3, "files": ("a", "b")}

    futures = [three.join(i, start_check=start_check) for i in (2, 0, 1)]
    expected = {"epoch": 3, "files": ["a", "b"]}
    assert [f.result() for f in futures] == [expected] * 3
    assert len(calls) == 1
    assert all(is_free(port_of(address)) for address in three.workers)


def test_a_start_check_may_return_many_megabytes(meeting):
    two = meeting(2)
    futures = [two.join(i, start_check=lambda: "x" * 5_000_000) for i in range(2)]
    assert [len(f.result()) for f in futures] == [5_000_000] * 2


def test_without_a_start_check_the_result_is_none(meeting):
    two = meeting(2)
    futures = [two.join(i) for i in range(2)]
    assert [f.result() for f in futures] == [None, None]


def test_the_same_ports_can_be_used_repeatedly(meeting):
    three = meeting(3)
    for number in range(5):
        futures = [three.join(i, start_check=lambda n=number: n) for i in range(3)]
        assert [f.result() for f in futures] == [number] * 3


def test_processes_do_not_import_tensorflow():
    code = (
        "import sys; from bt_keras.distribution.cluster import from_environment; "
        "from bt_keras.distribution.rendezvous import meet; "
        f"print(meet(from_environment(), {SETTINGS}, {LONG}, lambda: 7)); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    workers = addresses(2)
    processes = []
    for index in range(2):
        config = {
            "cluster": {"worker": workers},
            "task": {"type": "worker", "index": index},
        }
        environment = {"TF_CONFIG": json.dumps(config)}
        command = [sys.executable, "-c", code]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        )
    assert [p.communicate()[0] for p in processes] == [b"7\n"] * 2
    assert [p.returncode for p in processes] == [0, 0]
    assert all(is_free(port_of(address)) for address in workers)


def test_a_cluster_of_one_worker_does_not_wait(meeting):
    one = meeting(1)
    assert one.join(0, timeout=0, start_check=lambda: (1, 2)).result() == [1, 2]
    assert one.join(0, timeout=0).result() is None


def test_different_settings_are_named_on_every_worker(meeting):
    three = meeting(3)
    other = {**SETTINGS, "config.batch_size": 16, "config.new": "x" * 500}
    futures = [three.join(0), three.join(1), three.join(2, other)]
    errors = [error_of(f) for f in futures]
    assert len(set(errors)) == 1
    assert f"{three.name(2)} differs from the chief, {three.name(0)}: " in errors[0]
    assert "config.batch_size is 16, not 8; config.new is" in errors[0]
    assert "..., not (none). " in errors[0]
    assert "tensorflow" not in errors[0]
    assert len(errors[0]) < 500


def test_the_first_few_differences_are_shown(meeting):
    two = meeting(2)
    settings = [{f"f{i}": value for i in range(9)} for value in (True, 1)]
    futures = [two.join(i, own) for i, own in enumerate(settings)]
    shown = "f0 is 1, not true; f1 is 1, not true; f2 is 1, not true; and 6 more."
    assert all(shown in error_of(f) for f in futures)


def test_nan_tuples_and_unicode_compare_equal(meeting):
    two = meeting(2)
    settings = {"nan": float("nan"), "tuple": (1, 2), "text": "ä\n"}
    futures = [two.join(i, settings) for i in range(2)]
    assert [f.result() for f in futures] == [None, None]


def test_different_addresses_in_tf_config_are_named(meeting):
    three = meeting(3)
    chief, last = three.join(0), three.join(2)
    moved = Cluster((*three.workers[:2], "127.0.0.1:1"), 1)
    with pytest.raises(UsageError, match=r"worker 1 .* differs .* cluster.workers is"):
        meet(moved, SETTINGS, LONG)
    assert "cluster.workers" in error_of(chief)
    assert "cluster.workers" in error_of(last)


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


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(chief_server, "GRACE", 0.2)
    monkeypatch.setattr(rendezvous, "GRACE", 0.2)


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


def test_an_error_of_the_start_check_is_raised_on_all_workers(meeting):
    def start_check():
        raise UsageError("checkpoint epoch-0001.keras is damaged.")

    three = meeting(3)
    futures = [three.join(i, start_check=start_check) for i in range(3)]
    assert {error_of(f) for f in futures} == {"checkpoint epoch-0001.keras is damaged."}


def test_a_chief_that_dies_is_named_at_once(meeting):
    two = meeting(2)
    chief, worker = (two.join(i, start_check=lambda: 1 / 0) for i in (0, 1))
    assert isinstance(chief.exception(), ZeroDivisionError)
    assert f"the chief, {two.name(0)}, accepted the connection, but: " in error_of(
        worker
    )


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
