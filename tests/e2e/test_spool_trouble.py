"""Operators and hostile senders disturb spool and Redis under load: no callback that was answered 200 is lost."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

from app.core.tokens import Binding, fingerprint, new_nonce
from app.spool import SUFFIX
from app.spool.aside import RECORDS, each_set_aside, payloads
from app.spool.record import record_summary
from harness.servers import Service, Valkey, Web, eventually, free_port
from harness.settings import make_settings
from tests.callbacks import Sender, body, new_job_id, path

SENDERS = 4


class Noted(Sender):
    """Also keeps the time at which each request began."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.began: dict[str, float] = {}

    def send(self, job_id: str, state: str = "Success") -> None:
        self.began[job_id] = time.monotonic()
        super().send(job_id, state)


@contextmanager
def load(url: str) -> Iterator[list[Noted]]:
    """Several clients send callbacks until the block ends."""
    over, senders = threading.Event(), [Noted(url) for _ in range(SENDERS)]
    threads = [
        threading.Thread(target=each.send_while, args=(lambda: not over.is_set(),)) for each in senders
    ]
    for thread in threads:
        thread.start()
    try:
        yield senders
    finally:
        over.set()
        for thread in threads:
            thread.join()


def sent_after(senders: list[Noted], moment: float, count: int = 5) -> None:
    """Wait until that many callbacks were sent after this moment, at least one by each sender, and have been answered:
    then no request that is still open began before the moment."""

    def enough() -> bool:
        each_one = [sum(sender.began[job] > moment for job in list(sender.answered)) for sender in senders]
        return min(each_one) >= 1 and sum(each_one) >= count

    eventually(enough, f"{count} more answers")


def jobs_of(path: Path) -> set[str]:
    """The jobs in a file's complete records."""
    return {job for each in payloads(path) for job in record_summary(each)[1]}


def jobs_in(folder: Path) -> set[str]:
    """The jobs in all complete records of a folder that no process uses, pending or set aside."""
    return set().union(*map(jobs_of, (*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{RECORDS}"))))


def test_a_folder_that_is_moved_and_removed_under_load(tmp_path: Path) -> None:
    """While Redis is unavailable, the spool's folder is repeatedly moved, replaced and removed. Each callback that was
    answered ``spooled`` afterwards is in the next folder, and the records of the last folder are drained."""
    (tmp_path / "redis").mkdir()
    spool, moved = tmp_path / "spool", [tmp_path / f"moved{n}" for n in range(6)]
    with Valkey(tmp_path / "redis") as server:
        settings = make_settings(server.url, spool_dir=str(spool))
        with Service(settings, free_port(), tmp_path) as service:
            server.kill()
            ends: list[float] = []
            with load(service.url + path(settings)) as senders:
                for n, place in enumerate(moved):
                    sent_after(senders, ends[-1] if ends else 0.0)
                    eventually(spool.is_dir, "the folder to be made again")
                    spool.rename(place)
                    if n % 2:
                        spool.mkdir(exist_ok=True)
                    ends.append(time.monotonic())
                sent_after(senders, ends[-1])
                shutil.rmtree(spool, ignore_errors=True)
                removed = time.monotonic()
                sent_after(senders, removed, 21)
            began = {job: at for each in senders for job, at in each.began.items() if job in each.answered}
            words = {word for each in senders for word in each.answered.values()}
            assert words == {"spooled"}
            assert not [failure for each in senders for failure in each.failed]
            for n, end in enumerate(ends[:-2]):
                sent = {job for job, at in began.items() if end < at < ends[n + 1]}
                assert sent, "load all the while"
                assert sent <= jobs_in(moved[n + 1]) | jobs_in(moved[n + 2])
            late = [job for job, at in began.items() if at > removed]
            assert len(late) > 20
            server.start()
            store = service.services.store
            eventually(lambda: not list(spool.glob(f"*{SUFFIX}")), "the spool to be drained")
            assert [job for job in late if not store.jobs.get(job)] == []


def test_poison_under_load(tmp_path: Path) -> None:
    """Several senders report jobs whose records Redis refuses each time, while web processes are killed. All other
    callbacks are drained. Each refused one that was answered 200 is set aside, visible, and drained after a fix."""
    (tmp_path / "redis").mkdir()
    spool = tmp_path / "spool"
    with Valkey(tmp_path / "redis") as server:
        settings = make_settings(server.url, spool_dir=str(spool))
        with Service(settings, free_port(), tmp_path) as service:
            store, url = service.services.store, service.url + path(settings)
            odd = [new_job_id() for _ in range(12)]
            for n, job_id in enumerate(odd):
                store.db.client.set(store.db.key(("job", "record")[n % 2], job_id), "of another type")
            with load(url) as senders:
                for _ in range(3):
                    for job_id in odd:
                        answer = requests.post(url, data=body(job_id), timeout=30)
                        assert answer.json()["results"][0]["outcome"] == "spooled"
                    psutil.Process(service.web.pid).children()[0].kill()
                    time.sleep(1)
            good = [job for each in senders for job in each.answered]
            assert len(good) > 20
            eventually(lambda: not list(spool.glob(f"*{SUFFIX}")), "the spool to be drained")
            assert [job for job in good if not store.jobs.get(job)] == []
            assert set().union(*each_set_aside(spool, jobs_of)) == set(odd)
            ready = requests.get(f"{service.url}/readyz", timeout=10)
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            assert ready.json()["spool_set_aside"] >= len(odd)
            for n, job_id in enumerate(odd):
                store.db.client.delete(store.db.key(("job", "record")[n % 2], job_id))
            eventually(lambda: service.ready().get("status") == "ok", "them to be drained")
            assert all(store.jobs.get(job_id) for job_id in odd)
            assert [each for path in spool.glob(f"*{RECORDS}") for each in payloads(path)] == []


def test_redis_is_emptied_under_load(tmp_path: Path) -> None:
    """After FLUSHALL callbacks are accepted, and a token that the settings revoke stays revoked. /readyz stays 200 and
    reports the loss until an operator accepts it."""
    (tmp_path / "redis").mkdir()
    with Valkey(tmp_path / "redis") as server:
        settings = make_settings(server.url, spool_dir=str(tmp_path / "spool"))
        leaked = path(settings, Binding(name="leaked", nonce=new_nonce()))
        mark = fingerprint(leaked.rpartition("/")[2])
        settings = settings.model_copy(update={"revoked_tokens": frozenset({mark})})
        with Web(settings, free_port(), tmp_path) as service, load(service.url + path(settings)) as senders:
            store = service.services.store
            eventually(lambda: service_part(service) == "ok", "the id to be made")
            store.db.client.flushall()
            emptied = time.monotonic()
            eventually(lambda: service_part(service) == "lost", "it to be seen")
            assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200
            assert requests.post(service.url + leaked, data=body("jleaked"), timeout=10).status_code == 403
            sent_after(senders, emptied, 21)
            assert service_part(service) == "lost"
            assert service.services.installation is not None
            service.services.installation.accept()
            assert service_part(service) == "ok"
        late = [job for each in senders for job in each.answered if each.began[job] > emptied]
        assert len(late) > 20
        assert [job for job in late if not store.jobs.get(job)] == []
        assert store.jobs.get("jleaked") is None
        assert not [failure for each in senders for failure in each.failed]


def service_part(service: Service) -> str:
    parts: dict[str, str] = requests.get(f"{service.url}/readyz", timeout=10).json()["parts"]
    return parts["installation"]
