"""The emulator as CI, and the relay's loops as functions, for tests of what is asked and when."""

from __future__ import annotations

import threading
from typing import Any

import requests

from app.reconcile import due_jobs, lost_submissions, missing_records
from app.redis.scripts import decoded_all
from app.services import Services
from app.store import Job
from app.submitter import SubmitRequest, Submitter
from harness.servers import Emulator

REQUEST: dict[str, Any] = {
    "input": {"object": "input/demo.mp3"},
    "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
    "output": {"object": "out/background.${ext}", "au_object": "out/${jobid}/vocals.${ext}"},
    "user_data": "order-42",
}


class Relay:
    """The loops that ask CI, one step at each call of a test."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._now = threading.Event()
        self._now.set()  # skip the pauses
        self._audit = missing_records.Audit(services)

    def ask(self) -> None:
        """Ask about every planned job, as if all pauses were over."""
        self._all_due("due")
        due_jobs.step(self.services, self._now)

    def ask_if_due(self) -> None:
        due_jobs.step(self.services, self._now)

    def look_for_lost(self) -> None:
        self._all_due("lost")
        lost_submissions.step(self.services, self._now)

    def audit(self) -> None:
        self._audit.step(self._now)

    def _all_due(self, schedule: str) -> None:
        redis, key = self.services.store.db.client, self.services.store.db.key(schedule)
        for member in decoded_all(redis.zrange(key, 0, -1)):
            redis.zadd(key, {member: 0})


def fault(emulator: Emulator, kind: str, **parameters: Any) -> None:
    answer = requests.post(f"{emulator.url}/_emulator/faults", json={"kind": kind, **parameters}, timeout=60)
    assert answer.ok, answer.text


def change(emulator: Emulator, **settings: Any) -> None:
    answer = requests.patch(f"{emulator.url}/_emulator/settings", json=settings, timeout=60)
    assert answer.ok, answer.text


def asked(emulator: Emulator, endpoint: str, bucket: str | None = None) -> int:
    """How many such requests the emulator has seen; if a bucket is named, only those about it."""
    wanted = {"endpoint": endpoint, "bucket": bucket}
    answer = requests.get(f"{emulator.url}/_emulator/requests", params=wanted, timeout=60).json()
    return len(answer["requests"])


def submit(services: Services, **changes: Any) -> tuple[str, tuple[str, ...]]:
    """The submission, and its jobs."""
    receipt = Submitter(services).submit(SubmitRequest.model_validate(REQUEST | changes))
    return receipt.submission, receipt.job_ids


def job_of(services: Services, job_id: str) -> Job:
    job = services.store.jobs.get(job_id)
    assert job is not None, job_id
    return job


def end_at_ci(emulator: Emulator, job_id: str, state: str = "Success") -> None:
    """End the job at CI, in this state."""
    answer = requests.post(f"{emulator.url}/_emulator/jobs/{job_id}", json={"state": state}, timeout=60)
    assert answer.ok, answer.text
