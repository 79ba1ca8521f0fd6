"""Meetings of workers in threads of this process."""

import pytest

from bt_keras.distribution import chief_server, rendezvous
from tests.distribution.meeting import Meeting, is_free, port_of


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


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(chief_server, "GRACE", 0.2)
    monkeypatch.setattr(rendezvous, "GRACE", 0.2)
