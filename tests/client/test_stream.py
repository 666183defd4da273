"""The client's stream of events: resumed where it broke, never with an event twice or left out."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from ci_receiver_client import Client, Gap, Problem, StreamEvent

from harness.servers import Service
from tests.workers.news import tell

BEGINNING = "1-0"


class Cutting:
    """A proxy that passes everything on, and ends each connection after some bytes of the answers."""

    def __init__(self, port: int, after: int) -> None:
        self._to, self._after = port, after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._to)) as server, suppress(OSError):
            server.sendall(client.recv(65536))
            left = self._after
            while left > 0 and (read := server.recv(min(4096, left))):
                client.sendall(read)
                left -= len(read)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def cutting(running: Service) -> Iterator[Cutting]:
    proxy = Cutting(running.port, after=6000)
    yield proxy
    proxy.close()


def first(client: Client, count: int, **chosen: str) -> list[StreamEvent]:
    """The first ``count`` events of a stream."""
    found: list[StreamEvent] = []
    for event in client.events(**chosen):
        if isinstance(event, StreamEvent):
            found.append(event)
        if len(found) == count:
            break
    return found


def test_a_stream_goes_on_after_an_event(receiver: Client, running: Service) -> None:
    """``last_id`` is the place: what came before it is not given again."""
    job_id, running_event = tell(running.services, "Running", EndTime=None)
    _, end_event = tell(running.services, "Success", job_id)
    both = first(receiver, 2, job_id=job_id, last_id=BEGINNING)
    assert [each.event_id for each in both] == [running_event, end_event]
    assert [each.job.state for each in both if each.job] == ["Running", "Success"]
    (again,) = first(receiver, 1, job_id=job_id, last_id=both[0].stream_id)
    assert again == both[1]


def test_only_the_asked_tag(receiver: Client, running: Service) -> None:
    """The service chooses, not the client."""
    tell(running.services)
    _, event_id = tell(running.services, Tag="ClientsOwn")
    (event,) = first(receiver, 1, tag="ClientsOwn", last_id=BEGINNING)
    assert (event.event_id, event.kind) == (event_id, "callback")


def test_a_broken_connection_is_resumed(running: Service, cutting: Cutting) -> None:
    """Cut in the middle of events, again and again: each comes once, in order."""
    reported = [tell(running.services, Tag="Cut")[1] for _ in range(12)]
    with Client(cutting.url, running.key) as client:
        heard = first(client, 12, tag="Cut", last_id=BEGINNING)
    assert [each.event_id for each in heard] == reported
    assert cutting.connections > 2


def test_a_gap_is_said(running: Service, receiver: Client) -> None:
    """A place that is of no stream of this service: the gap comes first, then what is there."""
    job_id, _ = tell(running.services)
    elsewhere = f"{int(time.time() * 1000) + 10**9}-0"
    events = receiver.events(job_id=job_id, last_id=elsewhere)
    gap = next(events)
    assert isinstance(gap, Gap) and gap.after == elsewhere
    event = next(events)
    assert isinstance(event, StreamEvent) and event.job is not None and event.job.job_id == job_id


def test_a_refusal_ends_the_stream(running: Service) -> None:
    """A new connection would be refused as well: no scope, no such place."""
    key = running.services.store.api_keys.create("only-submits", frozenset({"submit"}), replace=True)
    with Client(running.url, key) as client, pytest.raises(Problem) as raised:
        next(client.events())
    assert raised.value.reason == "forbidden"
    with Client(running.url, running.key) as client, pytest.raises(Problem) as raised:
        next(client.events(last_id="nowhere"))
    assert raised.value.reason == "invalid_request"
