"""A rendezvous over real sockets, with one thread per worker."""

import contextlib
import json
import random
import socket
from concurrent.futures import ThreadPoolExecutor

from bt_keras import UsageError
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


def error_of(future):
    """Returns the one-line error of a worker that must fail."""
    error = future.exception()
    assert isinstance(error, UsageError), repr(error)
    assert "\n" not in str(error)
    return str(error)
