"""GET /metrics: what it serves is documented, and counts what happens."""

from __future__ import annotations

import math
import threading

import pytest
import requests
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app.core.clock import now_ms
from app.store import Store
from app.store.access.callback_urls import CallbackUrl
from docs.generate import FOLDER
from harness.downstream import Downstream, Reply
from harness.servers import Service, eventually
from tests.api.events.test_stream import listening
from tests.workers.conftest import Start, downstream, start  # noqa: F401 - fixtures
from tests.workers.news import tell

Values = dict[tuple[str, ...], float]


def values(service: Service, name: str) -> Values:
    """The samples of a metric, by the values of their labels."""
    text = requests.get(f"{service.url}/metrics", timeout=10).text
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in samples}


def test_every_metric_is_documented(client: FlaskClient) -> None:
    """Those of our own; the metrics of Python and of the process are the Prometheus client's."""
    page = (FOLDER / "metrics.md").read_text()
    for family in text_string_to_metric_families(client.get("/metrics").text):
        if family.name.startswith("ci_") and not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert f"| `{name}` | {family.type} |" in page, "run `make docs`"


def gauge(client: FlaskClient, name: str) -> dict[str, float]:
    """A gauge of callback URLs, by name."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {sample.labels["name"]: sample.value for sample in samples}


def test_callback_urls_are_watched(client: FlaskClient, store: Store) -> None:
    """By name, the next expiry and the last use. A URL that was revoked, made by a test, or replaced after its expiry
    raises no false alarm."""
    now, day = now_ms(), 86_400_000
    urls = [
        ("queue", 40, 10, 5), ("queue", 40, 20, None), ("queue", 40, -1, None), ("endless", 7, None, None),
        ("late", 40, -2, None), ("gone", 40, 1, None), ("test", 0, 0.1, None),
    ]  # fmt: skip
    for n, (name, age, left, idle) in enumerate(urls):
        mark, ends = f"{n:012x}", None if left is None else now + int(left * day)
        store.callback_urls.add(CallbackUrl(mark, name, created=now - age * day, expires=ends))
        if idle:
            store.db.client.hset(store.db.key("url", mark), "used", now - idle * day)
    store.refusals.revoke(f"{5:012x}")
    expires = gauge(client, "ci_callback_url_expires_seconds")
    assert expires.pop("endless") == math.inf
    assert expires == pytest.approx({"queue": 10 * 86_400, "late": -2 * 86_400}, abs=60)
    idle_for = gauge(client, "ci_callback_url_idle_seconds")
    assert idle_for == pytest.approx(
        {"queue": 5 * 86_400, "late": 40 * 86_400, "endless": 7 * 86_400}, abs=60
    )


def test_names_of_callback_urls_are_bounded(client: FlaskClient, store: Store) -> None:
    """However many there are, and however long: those that expire first are shown."""
    now = now_ms()
    for n in range(60):
        url = CallbackUrl(f"{n:012x}", f"{n:02}" + "x" * 500, created=1, expires=now + (n + 1) * 86_400_000)
        store.callback_urls.add(url)
    shown = gauge(client, "ci_callback_url_expires_seconds")
    assert sorted(shown) == [f"{n:02}" + "x" * 62 for n in range(50)]


def test_listening_and_waiting_clients_are_counted(service: Service) -> None:
    """Over all processes of the server."""
    running, _ = tell(service.services, "Running", EndTime=None)
    assert values(service, "ci_listeners") in ({}, {(): 0})
    waiting = threading.Thread(target=service.call, args=("GET", f"/v1/jobs/{running}?wait=60"))
    waiting.start()
    with listening(service), listening(service):
        eventually(lambda: values(service, "ci_listeners") == {(): 2}, "two to listen")
        eventually(lambda: values(service, "ci_waiting") == {(): 1}, "one to wait")
    tell(service.services, "Success", running)
    waiting.join()
    eventually(lambda: values(service, "ci_waiting") == {(): 0}, "none to wait")

    def gone() -> bool:
        # That a client has gone is noticed when something is written to it.
        tell(service.services)
        return values(service, "ci_listeners") == {(): 0}

    eventually(gone, "none to listen")


def test_deliveries_are_counted_by_host_and_outcome(start: Start, downstream: Downstream) -> None:  # noqa: F811
    """All endpoints of a host together; no label has an address."""
    downstream.behaviours["/once"] = lambda _, before: Reply(204 if before else 500)
    downstream.behaviours["/gone"] = lambda *_: Reply(410)
    url = downstream.url
    service = start(forward_urls=f"{url}/fine,{url}/once,{url}/gone", forward_backoff="0.1s")
    assert values(service, "ci_deliveries_total")[("127.0.0.1", "delivered")] == 0
    tell(service.services)
    wanted = {("127.0.0.1", "delivered"): 2, ("127.0.0.1", "retried"): 1, ("127.0.0.1", "failed"): 1}
    eventually(lambda: values(service, "ci_deliveries_total") == wanted, "the counts")
    assert values(service, "ci_deliveries_waiting") == {("127.0.0.1",): 0}
    assert "/once" not in requests.get(f"{service.url}/metrics", timeout=10).text
