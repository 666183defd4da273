"""No more files can be opened: idle connections are dropped, and callbacks are accepted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from harness.servers import Valkey, Web, eventually, free_port
from harness.settings import make_settings
from tests import raw
from tests.receiver.callbacks import a_token, body, post

SPARE = 20
"""Files that the process may still open; each connection is one."""
CROWD = 3 * SPARE
SAID = "no more files can be opened"


@pytest.fixture
def web(valkey: Valkey, tmp_path: Path) -> Iterator[Web]:
    """One process that has served already: its connections to Redis are open."""
    with Web(make_settings(valkey.url), free_port(), tmp_path, WEB_CONCURRENCY="1") as running:
        # Several at once: a connection to Redis that the limit prevents would be no fault of the clients.
        with ThreadPoolExecutor(4) as clients:
            sent = [clients.submit(post, running.url, a_token(running.settings), body()) for _ in range(40)]
            assert {each.result().status_code for each in sent} == {200}
        yield running


def the_worker(web: Web) -> psutil.Process:
    (worker,) = psutil.Process(web.web.pid).children()
    return worker


@contextmanager
def few_files(web: Web) -> Iterator[None]:
    """Set RLIMIT_NOFILE of the worker to ``SPARE`` more files than it has open."""
    worker = the_worker(web)
    soft, hard = worker.rlimit(psutil.RLIMIT_NOFILE)
    worker.rlimit(psutil.RLIMIT_NOFILE, (worker.num_fds() + SPARE, hard))
    try:
        yield
    finally:
        worker.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))


def a_crowd(web: Web, stack: ExitStack, said: bytes) -> None:
    for _ in range(CROWD):
        stack.enter_context(raw.connect(web.port)).sendall(said)


@pytest.mark.parametrize(
    "said",
    [b"", b"POST /callbacks/x HTTP/1.1\r\n", raw.head("POST", "/callbacks/x", "Content-Length: 1000") + b"{"],
    ids=["idle", "half a head", "half a body"],
)
def test_callbacks_are_accepted_although_idle_clients_hold_every_file(web: Web, said: bytes) -> None:
    """The limit is logged; connections that clients keep open are closed, and the worker is not restarted."""
    worker, before = the_worker(web), the_worker(web).num_fds()
    began = time.monotonic()
    with few_files(web), ExitStack() as crowd:
        a_crowd(web, crowd, said)
        eventually(lambda: SAID in web.web.text(), "the limit to be met")
        for _ in range(5):
            assert post(web.url, a_token(web.settings), body()).status_code == 200
        eventually(lambda: worker.num_fds() <= before + 2, lambda: f"{worker.num_fds()} files to be closed")
        assert web.web.text().count(SAID) <= time.monotonic() - began + 2, (
            "logged once a second, however often it occurs"
        )
    assert the_worker(web).pid == worker.pid
    assert "Traceback" not in web.web.text()


def test_a_callback_is_accepted_although_kept_connections_hold_every_file(web: Web) -> None:
    """The process reaches the limit, logs it, and answers a callback with 200."""
    with few_files(web), ExitStack() as crowd:
        for _ in range(CROWD):
            session = crowd.enter_context(requests.Session())
            assert session.get(f"{web.url}/healthz", timeout=30).status_code == 200
        assert SAID in web.web.text()
        assert post(web.url, a_token(web.settings), body()).status_code == 200
    assert "Traceback" not in web.web.text()
