"""All workers meet over plain TCP, and compare what must be the same.

TensorFlow's own servers wait long for a worker that is missing, and do not see that
two were given different configs. So the workers meet first, on the port where the
chief's server will listen: each sends one line of JSON, `{"index", "card"}`, the chief
answers all with one, `{"value", "error"}`, and each says that it has it and closes.
"""

import contextlib
import json
import socket
import time

from bt_keras.distribution.chief_server import GRACE, RECEIVED, Guests, gone
from bt_keras.distribution.cluster import host_and_port
from bt_keras.distribution.sockets import Wait, close_at_once, listen
from bt_keras.errors import UsageError

_RETRY = 0.2  # seconds between attempts to connect
_SHOWN = 3  # fields that differ, in a message


def meet(cluster, card, timeout, briefing=None):
    """Waits for all workers, compares their cards and hands out the chief's briefing.

    Args:
        cluster: `Cluster`.
        card: flat dict of str to JSON values: what must be the same on all workers.
            The cluster's addresses are compared with it.
        timeout: float, seconds to wait for the others.
        briefing: callable without arguments that gives a JSON value. Only the chief
            calls it, once all are there and agree.

    Returns:
        The briefing, as JSON gives it back, on every worker; None without any.

    Raises:
        UsageError: on all workers, if one is missing, goes away or differs, or if the
            briefing raises it; on a worker whose port is taken, or that cannot reach
            the chief.
    """
    listener = listen(cluster)
    card = {"cluster.workers": cluster.workers, **card}
    if cluster.is_chief:
        return _receive(listener, cluster, card, timeout, briefing)
    listener.close()  # It was only to see that TensorFlow will get the port.
    return _visit(cluster, card, timeout)


def _receive(listener, cluster, card, timeout, briefing):
    """The chief's part."""
    with contextlib.closing(Guests(cluster)) as guests:
        try:
            with listener:
                guests.gather(listener, timeout)
            _compare(cluster, {0: card, **guests.cards()})
            value = json.loads(json.dumps(briefing() if briefing else None))
        except UsageError as error:
            guests.tell({"value": None, "error": str(error)})
            raise
        lost = guests.tell({"value": value, "error": None})
    if lost:
        raise gone(", ".join(map(cluster.name, lost)))
    return value


def _compare(cluster, cards):
    # As text: NaN equals itself there, and 1 is neither 1.0 nor true.
    texts = {
        index: {field: json.dumps(value) for field, value in card.items()}
        for index, card in sorted(cards.items())
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
                f"{shown}{more}. Start all with the same config and the same software."
            )


def _short(text):
    if text is None:
        return "(none)"
    return text if len(text) <= 100 else f"{text[:97]}..."


def _visit(cluster, card, timeout):
    """The part of all workers but the chief."""
    chief = f"the chief, {cluster.name(0)},"
    hello = json.dumps({"index": cluster.index, "card": card}).encode() + b"\n"
    with _connect(cluster, chief, timeout) as connection:
        try:
            connection.settimeout(timeout)
            connection.sendall(hello)
            # The chief's own wait began before this one, so it ends before.
            line = _read_line(connection, Wait(timeout + GRACE), f"{chief} to answer")
            answer = json.loads(line)
            value, error = answer["value"], answer["error"]
            connection.sendall(RECEIVED)
        except OSError as failure:
            raise UsageError(
                f"{chief} took the connection, but: {_reason(failure)}. See what it "
                "says, and that all have the same cluster in TF_CONFIG."
            ) from failure
        except (ValueError, TypeError, KeyError) as failure:
            raise UsageError(
                f"{chief} answers {_short(repr(line))}: that is another program. Give "
                "the chief another port in the TF_CONFIG of all workers."
            ) from failure
    if error is not None:
        raise UsageError(error)
    return value


def _connect(cluster, chief, timeout):
    wait, reason = Wait(timeout), "no answer"
    host, port = host_and_port(cluster.workers[0])
    while left := wait.left(f"{chief} {reason}"):
        try:
            connection = socket.create_connection((host, port), left)
            # Its own port will be in TIME_WAIT, and may be one that a worker needs.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Where nobody listens on this machine, TCP may connect one to itself.
            if connection.getsockname() != connection.getpeername():
                return connection
            close_at_once(connection)
        except OSError as error:
            reason = _reason(error)
        time.sleep(min(_RETRY, left))
    raise UsageError(
        f"{chief} could not be reached within {timeout:g} s: {reason}. See whether it "
        "runs, and its address in TF_CONFIG."
    )


def _read_line(connection, wait, whom):
    line = b""
    while not line.endswith(b"\n"):
        left = wait.left(whom)
        if not left:
            raise TimeoutError
        connection.settimeout(left)
        with contextlib.suppress(TimeoutError):
            data = connection.recv(2**16)
            if not data:
                raise ConnectionError("it closed it without an answer")
            line += data
    return line


def _reason(error):
    if isinstance(error, TimeoutError):
        return "no answer"
    return error.strerror or str(error)
