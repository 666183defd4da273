"""The relay gets SIGTERM in the middle of its work: it ends by itself, and another goes on where it stopped."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from app.ci.matching.asked import Asked, AskedOperation
from app.settings import Settings
from harness.downstream import KEY, Downstream, Reply
from harness.servers import Valkey, eventually
from harness.settings import make_settings
from tests.store.said import said, tell
from tests.store.samples import submission
from tests.workers.fleet import Fleet

SECONDS = 45
"""Less than FORWARD_TIMEOUT here (60 s): a relay that waited for its endpoint would be killed, and return -9."""


@pytest.fixture
def settings(valkey: Valkey, downstream: Downstream) -> Settings:
    """Settings with an endpoint: deliveries of the relay must not be cut off either."""
    return make_settings(
        valkey.url,
        forward_urls=f"{downstream.url}/hook",
        forward_keys=KEY,
        forward_allow_private="127.0.0.0/8",
        forward_timeout="60s",
    )


class Load:
    """Ends jobs one after the other, in a thread, until the block ends."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._tell)
        self.reported: list[str] = []

    def _tell(self) -> None:
        while not self._enough.wait(0.002):
            self._fleet.end(f"j{len(self.reported)}", "Quick")
            self.reported.append(f"j{len(self.reported)}")

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._enough.set()
        self._thread.join()


def unacknowledged(fleet: Fleet) -> int:
    """Events that a relay has read and not acknowledged."""
    found: Any = fleet.store.db.client.xpending(fleet.store.db.key("events"), "relay")
    return int(found["pending"])


def test_nothing_is_lost_or_done_twice(settings: Settings, tmp_path: Path, downstream: Downstream) -> None:
    """SIGTERM under load, three times: exit code 0; every handler has run once, and no delivery is made
    again but those under way at a stop."""
    downstream.behaviours["/hook"] = lambda *_: Reply(seconds=0.02)
    with Fleet(settings, tmp_path) as fleet, Load(fleet) as load:
        for _ in range(3):
            before = len(load.reported)
            eventually(lambda: len(fleet.times("quick")) > before, f"work to be done: {fleet.logs()}")  # noqa: B023
            relay = fleet.relays.pop()
            assert relay.stop(SECONDS) == 0, relay.text()
            assert unacknowledged(fleet) == 0, "it has acknowledged what it had read"
            fleet.add_relay()
        load.__exit__()
        wanted = dict.fromkeys(load.reported, 1)
        eventually(lambda: fleet.times("quick") == wanted, f"every handler: {fleet.logs()}")

        def delivered() -> list[str]:
            return [each.event["subject"] for each in downstream.on("/hook")]

        eventually(lambda: set(delivered()) == set(wanted), "every delivery")
        # A delivery that a busy machine has not finished when its relay must end is made again.
        again = len(delivered()) - len(wanted)
        assert again <= 3 * settings.forward_concurrency, "only those under way at a stop"


def test_a_silent_endpoint_does_not_delay_the_stop(
    settings: Settings, tmp_path: Path, downstream: Downstream
) -> None:
    """The stop does not wait for FORWARD_TIMEOUT, a minute: deliveries in progress are released, so that another relay
    need not wait for their leases to expire."""
    downstream.behaviours["/hook"] = lambda _, before: Reply(seconds=0 if before else 60)
    with Fleet(settings, tmp_path) as fleet:
        fleet.end("j1", "Quick")
        eventually(lambda: downstream.on("/hook"), f"the delivery to begin: {fleet.logs()}")
        assert fleet.relays.pop().stop(SECONDS) == 0, fleet.logs()
        fleet.add_relay()
        eventually(lambda: len(downstream.on("/hook")) == 2, f"it to be delivered again: {fleet.logs()}")
        (run,) = [each for each in fleet.store.runs.of_job("j1") if each.endpoint]
        assert "stopped" in run.tries[0]["error"]


@pytest.fixture
def silent() -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that accepts connections and never answers: its address, and its connections."""
    came: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:

        def take() -> None:
            with suppress(OSError):
                while True:
                    came.append(stack.enter_context(server.accept()[0]))

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", came
        server.shutdown(socket.SHUT_RDWR)


def test_a_silent_ci_does_not_delay_the_stop(
    settings: Settings, tmp_path: Path, silent: tuple[str, list[socket.socket]]
) -> None:
    """The loops that ask about jobs, lost submissions and lost records all wait for an answer of CI."""
    endpoint, came = silent
    with Fleet(settings.model_copy(update={"ci_endpoint": endpoint}), tmp_path, relays=0) as fleet:
        store = fleet.store
        facts = to_builtins(Asked(
            bucket="demo-1250000000", region="ap-chongqing", input_object="in/a.mp3", input_url=None, queue_id=None,
            callback="own", operations=(AskedOperation(
                tag="VoiceSeparate", template_id=None, audio_mode=None, outputs=(), user_data=None, job_level=None
            ),),
        ))  # fmt: skip
        for n in range(5):
            store.submissions.create(replace(submission(f"slost{n}"), facts=facts))
            store.submissions.settle(f"slost{n}", "lost", "no answer", look_again_s=0)
        store.submissions.create(submission("sgone"))
        tell(store, said("jgone", "Running"), source="submit", submission="sgone")
        store.db.client.delete(store.db.key("job", "jgone"))
        tell(store, said("jasked", None))
        relay = fleet.add_relay()
        eventually(lambda: len(came) >= 3, f"three loops to ask: {relay.text()}")
        assert relay.stop(SECONDS) == 0, relay.text()
