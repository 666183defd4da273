"""GET /v1/events: what happens to jobs, as it happens."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import requests

from harness.servers import PATIENCE_S, Service, eventually
from tests.workers.conftest import start  # noqa: F401 - a fixture
from tests.workers.news import tell


class Stream:
    """One client, reading in a thread of its own."""

    def __init__(self, service: Service, query: str = "", **headers: str) -> None:
        self.frames: list[dict[str, str]] = []
        self.comments = 0
        self.ended = threading.Event()
        self.answer = service_get(service, query, headers)
        threading.Thread(target=self._read, daemon=True).start()
        if self.answer.ok:
            eventually(lambda: self.comments, "the stream to begin")

    def _read(self) -> None:
        frame: dict[str, str] = {}
        try:
            for line in self.answer.iter_lines(chunk_size=1, decode_unicode=True):
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    frame[name] = value
                elif "event" in frame:
                    self.frames.append(frame | {"heard": str(time.time())})
                    frame = {}
        except (requests.RequestException, AttributeError, ValueError):
            pass
        self.ended.set()

    def close(self) -> None:
        """At once: to close while the thread reads would wait for what the server sends next."""
        if not self.ended.is_set():
            self.answer.raw.shutdown()
        self.answer.close()

    def jobs(self) -> list[dict[str, Any]]:
        return [json.loads(each["data"]) for each in self.frames if each.get("event") == "job"]

    def of(self, job_id: str) -> list[dict[str, Any]]:
        return [each for each in self.jobs() if each["job"]["job_id"] == job_id]

    def ids(self) -> list[str]:
        """The jobs of the events, without those of checks of outputs, which may come or not."""
        return [each["job"]["job_id"] for each in self.jobs() if each["kind"] != "check"]


def _has(stream: Stream, count: int) -> bool:
    return len(stream.frames) >= count


def service_get(service: Service, query: str, headers: dict[str, str]) -> requests.Response:
    headers = {"Authorization": f"Bearer {service.key}"} | headers
    return requests.get(f"{service.url}/v1/events{query}", headers=headers, stream=True, timeout=60)


@contextmanager
def listening(service: Service, query: str = "", **headers: str) -> Iterator[Stream]:
    stream = Stream(service, query, **headers)
    try:
        yield stream
    finally:
        stream.close()


def test_a_listener_receives_each_event(shared_service: Service) -> None:
    """In order, with the id to resume from; the job is as it was at the event."""
    with listening(shared_service) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        job_id, _ = tell(shared_service.services, "Running", EndTime=None)
        tell(shared_service.services, "Success", job_id)
        about_it = eventually(lambda: len(both := stream.of(job_id)) >= 2 and both, "both events")
        first, second = about_it[:2]
        assert [each["job"]["state"] for each in (first, second)] == ["Running", "Success"]
        assert first["kind"] == "callback" and len(first["event_id"]) == 32
        assert first["job"]["job_id"] == job_id
        assert [each["job"]["version"] for each in (first, second)] == [1, 2]


def test_a_listener_may_select_one_job_or_one_tag(shared_service: Service) -> None:
    """It receives no other events."""
    wanted = "jwanted0000"
    with (
        listening(shared_service, f"?job_id={wanted}") as one,
        listening(shared_service, "?tag=Transcode") as tagged,
    ):
        for n in range(30):
            tell(shared_service.services, job_id=f"jother{n}")
        tell(shared_service.services, job_id=wanted)
        transcode, _ = tell(shared_service.services, Tag="Transcode")
        eventually(lambda: one.ids() and tagged.ids(), "each its own")
        assert set(one.ids()) == {wanted}
        assert set(tagged.ids()) == {transcode}
    assert service_get(shared_service, "?tga=x", {}).status_code == 422


def test_a_listener_resumes_where_it_was(service: Service) -> None:
    """With ``Last-Event-ID`` it receives each event once, however many were added meanwhile."""
    with listening(service) as stream:
        tell(service.services, job_id="jfirst")
        eventually(lambda: stream.ids() == ["jfirst"], "the first")
        last = stream.frames[-1]["id"]
    for n in range(450):
        tell(service.services, job_id=f"j{n:03}", Tag="Transcode")
    with listening(service, "?tag=Transcode", **{"Last-Event-ID": last}) as stream:
        for n in range(450, 470):
            tell(service.services, job_id=f"j{n:03}", Tag="Transcode")
        eventually(lambda: len(stream.ids()) >= 470, "all of them")
        assert stream.ids() == [f"j{n:03}" for n in range(470)]
        assert not [each for each in stream.frames if each["event"] == "gap"]


def test_a_gap_is_reported(start: Any) -> None:  # noqa: F811
    """Where what came after ``Last-Event-ID`` is no longer kept, or the id is of another stream."""
    service = start()
    for n in range(5):
        tell(service.services, job_id=f"j{n}")
    store = service.services.store
    first, second, *_ = (each.stream_id for each in store.outbox.after("0-0", 10))
    store.db.client.xtrim(store.db.key("events"), maxlen=2, approximate=False)
    for asked in (first, second, f"{int(time.time() * 1000) + 10**9}-0"):
        with listening(service, **{"Last-Event-ID": asked}) as stream:
            eventually(partial(_has, stream, 3), "the gap, and what is left")
            assert stream.frames[0]["event"] == "gap"
            assert json.loads(stream.frames[0]["data"])["after"] == asked
            assert stream.ids() == ["j3", "j4"]
    assert service_get(service, "", {"Last-Event-ID": "nonsense"}).status_code == 422


def test_listeners_do_not_block_other_requests(start: Any) -> None:  # noqa: F811
    """Above the limit of waiting clients a stream gets 503 with Retry-After, and ``?wait=`` an answer at once.
    Callbacks and look-ups are still served, and a client that disconnects makes room."""
    service = start(waiting_max=4, environment={"WEB_CONCURRENCY": "1"})
    job_id, _ = tell(service.services, "Running", EndTime=None)
    streams = [Stream(service) for _ in range(4)]
    refused = service_get(service, "", {})
    assert (refused.status_code, refused.json()["reason"]) == (503, "too_many_waiting")
    assert int(refused.headers["Retry-After"]) > 0
    # A client that waited for the job would be notified that it has ended.
    later = threading.Timer(50, tell, (service.services, "Success", job_id))
    later.start()
    assert service.call("GET", f"/v1/jobs/{job_id}?wait=60").json()["state"] == "Running"
    later.cancel()
    for stream in streams:
        stream.close()
    tell(service.services)  # what is written to them finds out that they are gone

    def free() -> bool:
        answer = service_get(service, "", {})
        answer.close()
        tell(service.services)
        return answer.ok

    eventually(free, "a place to be free")


def test_a_stream_ends_when_the_service_stops(service: Service) -> None:
    """It ends at once, so that a deployment does not wait for listeners."""
    with listening(service) as stream:
        service.web.signal(signal.SIGTERM)
        assert stream.ended.wait(PATIENCE_S)
        assert service.web.popen and service.web.popen.wait(PATIENCE_S) == 0


def test_a_lost_connection_to_redis_is_survived(shared_service: Service) -> None:
    """A stream whose connection to Redis was closed continues with the next event."""
    with listening(shared_service) as stream:
        shared_service.services.store.db.client.client_kill_filter(_type="normal", skipme=True)
        tell(shared_service.services, job_id="jafter")
        eventually(lambda: "jafter" in stream.ids(), "what came after")


@pytest.mark.parametrize("how", ["stream", "wait"])
def test_a_change_is_seen_soon(shared_service: Service, how: str) -> None:
    """Within a generous bound; docs/streams.md has measured times."""
    job_id, _ = tell(shared_service.services, "Running", EndTime=None)
    if how == "stream":
        with listening(shared_service, f"?job_id={job_id}") as stream:
            tell(shared_service.services, "Success", job_id)
            at = time.time()
            eventually(lambda: stream.frames, "the news")
            heard = float(stream.frames[-1]["heard"])
    else:
        ended_at: list[float] = []

        def end() -> None:
            tell(shared_service.services, "Success", job_id)
            ended_at.append(time.time())

        threading.Timer(1.0, end).start()
        assert shared_service.call("GET", f"/v1/jobs/{job_id}?wait=60").json()["state"] == "Success"
        heard = time.time()
        at = eventually(lambda: ended_at, "the timer to end")[0]
    assert heard - at < 20, "not when the time of the one who waits is up"
