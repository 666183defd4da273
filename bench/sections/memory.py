"""Redis memory of a job, by kind of key.

Jobs of two kinds are stored as in production, each kind in a separate server: ``submitted`` ones have a submission
with two labels, CI's answer, a callback and one finished run; ``called back`` ones only a callback and a run.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

from msgspec import to_builtins

from app import create_app
from app.ci.incoming.payload import parse
from app.ci.outgoing.request import SubmitRequest
from app.core.clock import now_ms, rfc3339
from app.core.tokens import Binding
from app.services import Services
from app.store import News, Store
from app.store.accept.news import as_body
from app.store.runs.run import End, Start
from app.store.submissions.submissions import Submission, deadline_after
from app.submitter.callback_url import callback_url
from app.submitter.draft import draft
from bench import payloads
from bench.options import Options
from bench.table import Row, row
from harness.servers import Valkey
from harness.settings import make_settings

_JOBS = 300
_BEFORE = 150
"""Jobs stored before the measurement, so that one-time costs are not counted: the server creates a histogram of some
15 kB at the first use of each command, and converts sorted sets from their compact encoding."""


def measure(_options: Options) -> list[Row]:
    """Bytes per job for each kind; the rows for each kind of key have no target."""
    rows = []
    for kind, aim in (("submitted", 4000), ("called back", 3000)):
        sizes = _bytes_a_job(kind, _JOBS)
        total = sizes.pop("used_memory")
        section = section_of(kind)
        rows.append(row(section, "used_memory", [total], "bytes", aim=aim))
        rows += [
            row(section, f"  {name}", [size], "bytes")
            for name, size in sorted(sizes.items(), key=lambda each: -each[1])
            if size >= 1
        ]
    return rows


def section_of(kind: str) -> str:
    return f"Redis memory of a job, {kind} ({_JOBS} jobs)"


def _bytes_a_job(kind: str, jobs: int) -> dict[str, float]:
    """Bytes per job by kind of key, and ``used_memory``: the growth of the server's memory per job."""
    with tempfile.TemporaryDirectory() as folder, Valkey(Path(folder)) as server:
        services = Services.open(make_settings(server.url, key_prefix="ci:"), timeout=10)
        crowd = Crowd(services)
        crowd.store_jobs(kind, "warm", _BEFORE)
        crowd.come_to_rest()
        before = _memory(services.store)
        crowd.store_jobs(kind, "", jobs)
        crowd.come_to_rest()
        after = _memory(services.store)
    return {name: (size - before[name]) / jobs for name, size in after.items()}


def _memory(store: Store) -> Counter[str]:
    """``MEMORY USAGE`` of all keys, by kind."""
    client, sizes = store.db.client, Counter[str]()
    for key in client.scan_iter(f"{store.db.prefix}*", count=1000):
        kind = key.decode().removeprefix(store.db.prefix).partition(":")[0]
        sizes[kind] += client.memory_usage(key, samples=0) or 0
    sizes["used_memory"] = client.info("memory")["used_memory"]
    return sizes


class Crowd:
    """Stores jobs as the submitter, CI, the relay and a worker would."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store
        self._store.outbox.open()
        self._client = create_app(services.settings).test_client()
        self._console = self._path(callback_url(services.settings, Binding(name="bench")))

    def store_jobs(self, kind: str, name: str, count: int) -> None:
        for number in range(count):
            job = f"{name}{number:x}"
            path = self._submit(job) if kind == "submitted" else self._console
            answer = self._client.post(path, data=payloads.voice_separate(job, xml=number % 2 == 0))
            if answer.status_code != 200:
                raise SystemExit(f"the callback was answered {answer.status_code}: {answer.text}")
            self._relay_and_work()

    def come_to_rest(self) -> None:
        """Bring the store to its state some seconds later: outbox entries that every reader has read are compressed."""
        until = time.monotonic() + 30
        while self._store.outbox.size() >= 10 and time.monotonic() < until:
            time.sleep(0.5)
            self._store.outbox.trim()

    def _submit(self, job: str) -> str:
        """Store a request and CI's answer to it; returns the callback URL's path."""
        request = SubmitRequest.model_validate(
            payloads.request(job) | {"labels": {"show": "news", "team": "audio"}}
        )
        made, settings = draft(self._services.settings, request), self._services.settings
        record = Submission(
            id=made.submission, status="sending", submitted_at=rfc3339(now_ms()),
            deadline=deadline_after(settings.deadline),
            callback="own", bucket=made.asked.bucket, region=made.asked.region, key_id="k1",
            token_expires=made.expires * 1000, labels=made.labels, facts=to_builtins(made.asked),
        )  # fmt: skip
        self._store.submissions.create(record)
        details = parse(payloads.submitted(job)).details
        self._store.acceptor.accept(
            News(details, "submit", "confirmed", as_body(details), submission=made.submission, ask_after=3600)
        )
        return self._path(made.callback or "")

    def _relay_and_work(self) -> None:
        outbox, runs, schedules = self._store.outbox, self._store.runs, self._store.schedules
        for posted in (found := outbox.read("bench", 100, 1)):
            if posted.event.state == "Success":
                runs.plan([(posted.event, [("workers.handlers.log_end", None)])])
        outbox.acknowledge(found)
        outbox.trim()
        for each in schedules.take_due(100, 10):
            number = runs.start(Start(each, 10, 3, "worker-1-12345"))
            at = now_ms()
            entry = {
                "n": number, "started_at": rfc3339(at), "ended_at": rfc3339(at + 1), "ms": 1,
                "worker": "worker-1-12345", "error": None,
            }  # fmt: skip
            runs.finish(End(each, number, "done", entry))

    def _path(self, url: str) -> str:
        return "/callbacks/" + url.rpartition("/")[2]
