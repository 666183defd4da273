"""Stopping and reloading under load: no request is cut off, no callback fails."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from harness.servers import PATIENCE_S, Service, Valkey, Web, eventually, free_port
from harness.settings import make_settings
from tests.callbacks import Sender, body, new_job_id, path


@pytest.fixture
def service(valkey: Valkey, tmp_path: Path) -> Iterator[Service]:
    settings = make_settings(valkey.url, spool_dir=str(tmp_path / "spool"))
    with Web(settings, free_port(), tmp_path) as running:
        yield running


def workers_of(pid: int) -> set[int]:
    """The workers of one gunicorn master, without a second master that it has started."""
    try:
        return {
            child.pid
            for child in psutil.Process(pid).children()
            if not child.children() and child.status() != "zombie"
        }
    except psutil.NoSuchProcess:
        return set()


def serving(service: Service) -> set[int]:
    """The workers that have logged that they serve."""
    return {int(pid) for pid in re.findall(r"worker (\d+) serves", service.web.text())}


def reload(service: Service) -> None:
    """SIGHUP: the same master, new workers."""
    old = workers_of(service.web.pid)
    service.web.signal(signal.SIGHUP)
    eventually(lambda: (now := workers_of(service.web.pid)) and not now & old, "all workers to be new")


def upgrade(service: Service) -> None:
    """SIGUSR2 and SIGTERM: a new master on the same socket, and the old one ends."""
    service.web.signal(signal.SIGUSR2)

    def new_master() -> int | None:
        masters = [child.pid for child in psutil.Process(service.web.pid).children() if child.children()]
        workers = workers_of(masters[0]) if masters else set()
        return masters[0] if len(workers & serving(service)) == len(workers) >= 2 else None

    pid: int = eventually(new_master, "a second master with workers that serve")
    assert service.web.stop() == 0
    psutil.Process(pid)


def sent_by_all(senders: list[Sender], more: int) -> None:
    """Wait until each sender has had that many more answers or errors."""
    before = [len(sender.answered) for sender in senders]
    eventually(
        lambda: all(
            len(s.answered) + len(s.failed) >= n + more for s, n in zip(senders, before, strict=True)
        ),
        "answers to all senders",
    )


@pytest.mark.parametrize("deploy", [reload, upgrade])
def test_a_deploy_under_load_fails_no_callback(deploy: Callable[[Service], None], service: Service) -> None:
    """Processes are replaced under load, over new connections and kept ones: each callback gets 200 and is stored."""
    over = threading.Event()
    url = service.url + path(service.settings)
    senders = [Sender(url, keep_alive=keep_alive) for keep_alive in (False, False, True, True)]
    threads = [threading.Thread(target=s.send_while, args=(lambda: not over.is_set(),)) for s in senders]
    for thread in threads:
        thread.start()
    try:
        sent_by_all(senders, 5)
        deploy(service)
        sent_by_all(senders, 5)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        _stop_masters(service)
    failed = [each for sender in senders for each in sender.failed]
    assert not failed, f"{len(failed)}: {failed[:3]}"
    sent = [job_id for sender in senders for job_id in sender.answered]
    assert all(len(sender.answered) >= 10 for sender in senders), "five before the deploy and five after it"
    assert all(service.services.store.jobs.get(job_id) for job_id in sent)


def _stop_masters(service: Service) -> None:
    for process in psutil.process_iter(["pid"]):
        try:
            if os.getsid(process.pid) == service.web.pid and process.pid != service.web.pid:
                process.terminate()
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue


def test_a_half_received_request_is_finished(service: Service) -> None:
    """SIGTERM while half of a body has arrived: the other half is read, stored and answered."""
    job_id = new_job_id()
    with _half_sent(service, body(job_id)) as (connection, rest):
        service.web.signal(signal.SIGTERM)
        eventually(lambda: "Handling signal: term" in service.web.text(), service.web.text)
        connection.sendall(rest)
        answer = connection.makefile("rb").read()
    assert b"200 OK" in answer and b'"accepted"' in answer, answer
    assert service.web.popen is not None and service.web.popen.wait(PATIENCE_S) == 0
    assert service.services.store.jobs.get(job_id)


def test_waiting_clients_are_answered_early(service: Service) -> None:
    """SIGTERM while clients wait for a job: each gets 200 and the job as it is, before its minute is over."""
    sender, job_id = Sender(service.url + path(service.settings)), new_job_id()
    sender.send(job_id, "Running")
    got: list[tuple[int, str]] = []

    def wait() -> None:
        answer = service.call("GET", f"/v1/jobs/{job_id}?wait=60")
        got.append((answer.status_code, answer.json()["state"]))

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    eventually(
        lambda: "\nci_waiting 5.0\n" in requests.get(f"{service.url}/metrics", timeout=10).text, "all to wait"
    )
    assert service.web.stop(50) == 0, "sooner than the minute that they are willing to wait"
    for thread in threads:
        thread.join()
    assert got == [(200, "Running")] * 5


def test_spooled_records_outlive_the_process(tmp_path: Path) -> None:
    """SIGTERM while Redis is away: the spool is kept, and drained after the next start."""
    (tmp_path / "redis").mkdir()
    with Valkey(tmp_path / "redis") as server:
        settings = make_settings(server.url, spool_dir=str(tmp_path / "spool"))
        port, job_id = free_port(), new_job_id()
        with Web(settings, port, tmp_path) as service:
            server.kill()
            sender = Sender(service.url + path(settings))
            sender.send(job_id)
            assert sender.answered == {job_id: "spooled"}
            assert service.web.stop() == 0
            server.start()
            service.restart_web()
            eventually(lambda: service.services.store.jobs.get(job_id), "it to be drained")


class _half_sent:  # noqa: N801 - reads as a function
    """A connection that has sent half of a callback, and the bytes of the other half."""

    def __init__(self, service: Service, text: bytes) -> None:
        settings = service.settings
        host, port = urlsplit(service.url).netloc.split(":")
        self._connection = socket.create_connection((host, int(port)))
        head = f"POST {path(settings)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n"
        self._connection.sendall(head.encode() + text[:50])
        self._rest = text[50:]
        mine = self._connection.getsockname()[1]

        def taken() -> bool:
            """Whether a worker has accepted the connection from the queue of the listening socket."""
            return any(
                each.raddr and each.raddr.port == mine
                for pid in workers_of(service.web.pid)
                for each in psutil.Process(pid).net_connections("tcp")
            )

        eventually(taken, "the connection to be taken")

    def __enter__(self) -> tuple[socket.socket, bytes]:
        return self._connection, self._rest

    def __exit__(self, *_: object) -> None:
        self._connection.close()
