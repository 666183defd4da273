"""Connections that are kept, pipelined, dropped or too many: each request is answered, none leaves a file open."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
import requests

from harness.servers import Web, eventually, free_port
from harness.settings import make_settings
from tests import raw
from tests.callbacks import new_job_id
from tests.receiver.callbacks import a_token, body, post
from tests.receiver.hostile.process import MIB, workers

pytestmark = pytest.mark.usefixtures("unharmed")


def test_bytes_behind_a_body_are_the_next_request(web: Web, path: str) -> None:
    """What follows the Content-Length is invalid HTTP: it gets an answer of its own, 400."""
    content = body()
    with raw.connect(web.port) as link:
        link.sendall(raw.head("POST", path, f"Content-Length: {len(content)}") + content + b"}}\r\n\r\n")
        seen = b""
        while more := link.recv(65536):
            seen += more
    assert seen.count(b"HTTP/1.1 200") == 1
    assert seen.count(b"HTTP/1.1 400") == 1


def test_requests_that_come_together_are_each_answered(web: Web, path: str) -> None:
    """Two requests and the beginning of a third in one packet, cut at every byte."""
    one = raw.head("GET", "/healthz")
    for cut in range(1, len(one)):
        with raw.connect(web.port) as link:
            link.sendall(one + one + one[:cut])
            time.sleep(0.01)
            link.sendall(one[cut:])
            seen = b""
            while seen.count(b"HTTP/1.1 200") < 3:
                more = link.recv(65536)
                assert more, (cut, seen)
                seen += more


def test_pipelined_requests_are_each_answered(web: Web, path: str) -> None:
    """Several requests in one packet get as many answers."""
    content = body(JobId="jpiped")
    one = raw.head("POST", path, f"Content-Length: {len(content)}") + content
    with raw.connect(web.port) as link:
        link.sendall(one * 5 + raw.head("POST", "/callbacks/x", "Content-Length: 0"))
        seen = b""
        while seen.count(b"HTTP/1.1 ") < 6:
            more = link.recv(65536)
            assert more, seen
            seen += more
    assert seen.count(b"HTTP/1.1 200") == 5
    assert seen.count(b"HTTP/1.1 403") == 1


def test_a_kept_connection_serves_many(web: Web, path: str) -> None:
    with requests.Session() as session:
        for n in range(20):
            assert session.post(web.url + path, data=body(JobId=f"jkept{n}"), timeout=10).status_code == 200


@pytest.mark.parametrize("where", ["good token", "bad token"])
@pytest.mark.parametrize(
    ("more", "headers"),
    [(MIB, ()), (16 * MIB, ()), (MIB - 1000, ("Content-Encoding: br",))],
    ids=["too large", "far too large", "encoded"],
)
def test_a_connection_that_closes_says_so(
    web: Web, path: str, where: str, more: int, headers: tuple[str, ...]
) -> None:
    """After ``keep-alive`` a client may send its next callback on the connection, which would be lost."""
    address = path if where == "good token" else "/callbacks/unknown"
    refused = raw.head("POST", address, f"Content-Length: {more + 1000}", *headers)
    with raw.connect(web.port) as link:
        answer = raw.converse(link, refused, b" " * 1000)
        assert answer.status in {403, 413, 415}
        assert answer.headers["connection"] == "close"
        assert link.recv(1) == b""


def test_a_refusal_whose_body_was_read_keeps_the_connection(web: Web, path: str) -> None:
    """Also if the body was only skipped: it has arrived completely."""
    refused = raw.head("POST", "/callbacks/unknown", "Content-Length: 30000") + b" " * 30000
    good = body(JobId=new_job_id())
    with raw.connect(web.port) as link:
        assert raw.converse(link, refused).headers["connection"] == "keep-alive"
        assert raw.converse(link, raw.head("POST", path, f"Content-Length: {len(good)}"), good).status == 200


def test_connections_that_are_dropped_at_once_do_no_harm(web: Web) -> None:
    """Port scans and health probes of load balancers log no fault."""
    for _ in range(200):
        raw.connect(web.port).close()
    text = raw.head("POST", "/callbacks/x", "Content-Length: 100")
    for cut in range(0, len(text), 3):
        with raw.connect(web.port) as link:
            link.sendall(text[:cut])


def test_no_file_is_left_behind(web: Web, path: str) -> None:
    """The file descriptors of 300 closed connections are closed."""
    process = psutil.Process(workers(web)[0])
    before = process.num_fds()
    links = [raw.connect(web.port) for _ in range(300)]
    for link in links:
        link.close()
    eventually(lambda: process.num_fds() <= before + 20, "their files to be closed")


def test_more_connections_than_there_is_room_for(web: Web, tmp_path: Path) -> None:
    """If no place is free, the connection that is silent longest is dropped."""
    settings = make_settings(web.settings.redis_url)
    few = {"GUNICORN_CMD_ARGS": "--worker-connections 60 --workers 1"}
    with Web(settings, free_port(), tmp_path, **few) as small:
        links = [raw.connect(small.port) for _ in range(200)]
        started = time.monotonic()
        assert post(small.url, a_token(settings), body()).status_code == 200
        assert time.monotonic() - started < 25, "three crowds of 60 are let go one after the other in 30 s"
        for link in links:
            link.close()
        assert "Traceback" not in small.web.text()
