"""Asks a service that runs here for one answer of each operation: the examples of the OpenAPI document.

``python -m docs.examples`` writes ``app/api/document/examples.json``. A test compares them with what is answered then.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from app.core.tokens import Binding, mint, new_nonce
from harness.downstream import KEY, Downstream, Reply
from harness.emulated import Emulated
from harness.servers import Emulator, Service, Valkey, eventually, free_port
from harness.settings import make_settings

FILE = Path(__file__).parents[1] / "app/api/document/examples.json"

SUBMISSION = {
    "input": {"object": "input/talk.mp3"},
    "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    "output": {"au_object": "out/vocals.mp3"},
    "user_data": "order-42",
    "labels": {"show": "news"},
}
Answered = tuple[str, str, Any, int, Any]
"""Method, path of the document, body that was sent, status, and what was answered."""
Call = Callable[..., Answered]


@contextmanager
def running(valkey: Valkey, emulator: Emulator, folder: Path) -> Iterator[Service]:
    """A service whose only endpoint wants no event: the deliveries to it are failures."""
    port, ci = free_port(), Emulated(emulator.url)
    with Downstream() as endpoint:
        endpoint.behaviours["/gone"] = lambda *_: Reply(410)
        settings = make_settings(
            valkey.url,
            ci_endpoint=emulator.url,
            cos_bucket=ci.bucket,
            public_url=f"http://127.0.0.1:{port}",
            deadline="60s",
            forward_urls=f"{endpoint.url}/gone#tag=Transcode&name=archive",
            forward_keys=KEY,
            forward_allow_private="127.0.0.0/8",
        )
        with Service(settings, port, folder, WEB_CONCURRENCY="1") as service:
            yield service


def answers(service: Service) -> Iterator[Answered]:
    """One of each operation that answers JSON, in an order in which each has something to say."""

    def call(method: str, template: str, body: Any = None, query: str = "", **names: str) -> Answered:
        options = {} if body is None else {"json": body}
        answer = service.call(method, template.format(**names) + query, **options)
        return method.lower(), template, body, answer.status_code, answer.json()

    yield from _of_a_job(service, call)
    yield from _of_what_ci_holds(service, call)
    yield from _of_a_doubt(service, call)
    yield from _of_refusals(service, call)
    yield from _of_failures(service, call)
    for name in ("refresh", "replay", "cancel"):
        yield call("POST", f"/v1/jobs/{name}", {"all": True, "dry_run": True})
    yield call("POST", "/v1/failures/retry", {"all": True, "dry_run": True})
    for path in ("/v1/lanes", "/v1/endpoints", "/v1/stats"):
        yield call("GET", path)
    yield call("POST", "/v1/lanes/{name}/pause", name="default")
    yield call("POST", "/v1/lanes/{name}/resume", name="default")
    yield call("GET", "/v1/audit", query="?limit=2")
    yield call("GET", "/healthz")
    yield call("GET", "/readyz")
    yield call("GET", "/v1/jobs/{job_id}", job_id="unknown")


def _of_a_job(service: Service, call: Call) -> Iterator[Answered]:
    submitted = call("POST", "/v1/jobs", SUBMISSION)
    yield submitted
    job = {"job_id": submitted[4]["job_id"]}
    yield call("GET", "/v1/jobs/{job_id}", query="?wait=60", **job)
    yield call("GET", "/v1/jobs")
    yield call("GET", "/v1/submissions/{submission_id}", submission_id=submitted[4]["submission"]["id"])
    yield call("POST", "/v1/jobs/{job_id}/refresh", **job)
    yield call("POST", "/v1/jobs/{job_id}/replay", **job)
    eventually(
        lambda: all(
            run["state"] == "done"
            for entry in service.call("GET", f"/v1/jobs/{job['job_id']}/events").json()["events"]
            for run in entry["runs"]
        ),
        "the handlers to be done",
    )
    yield call("GET", "/v1/jobs/{job_id}/events", **job)


def _of_what_ci_holds(service: Service, call: Call) -> Iterator[Answered]:
    """A job that has not started is cancelled; an answer of CI is lost on its way."""
    settings = f"{service.settings.ci_endpoint}/_emulator/settings"
    before = requests.get(settings, timeout=10).json()
    requests.patch(settings, json={"queue_seconds": 600}, timeout=10)
    waiting = service.call("POST", "/v1/jobs", json=SUBMISSION).json()
    yield call("POST", "/v1/jobs/{job_id}/cancel", job_id=waiting["job_id"])
    Emulated(str(service.settings.ci_endpoint), service.settings.cos_bucket).fault(
        "lost_answer", on="submit", times=1
    )
    yield call("POST", "/v1/jobs", SUBMISSION)
    requests.patch(settings, json={"queue_seconds": before["queue_seconds"]}, timeout=10)


def _of_a_doubt(service: Service, call: Call) -> Iterator[Answered]:
    """Two callbacks that contradict each other."""
    yield contradict(service, "jdoubted")
    yield call("POST", "/v1/jobs/{job_id}/settle", {"as": "known"}, job_id="jdoubted")


def _of_refusals(service: Service, call: Call) -> Iterator[Answered]:
    """One whose URL had expired, and one that cannot be parsed."""
    _callback(service, _told("jlate", "Success"), expires=1000)
    yield call("GET", "/v1/refusals")
    (late,) = service.services.store.refusals.newest(1)
    yield call("GET", "/v1/refusals/{refusal_id}", refusal_id=late.id)
    yield call("POST", "/v1/refusals/{refusal_id}/retry", refusal_id=late.id)
    _callback(service, b"{")
    (broken,) = service.services.store.refusals.newest(1)
    reason = {"reason": "A test of the sender."}
    yield call("POST", "/v1/refusals/{refusal_id}/dismiss", reason, refusal_id=broken.id)


def _of_failures(service: Service, call: Call) -> Iterator[Answered]:
    """Two deliveries that the endpoint turned down."""
    for n in range(2):
        fail_delivery(service, f"jgone{n}")
    failures = service.services.store.failures
    eventually(lambda: failures.count() == 2, "both failures")
    yield call("GET", "/v1/failures")
    one, other = (each["event_id"] for each in service.call("GET", "/v1/failures").json()["failures"])
    yield call("POST", "/v1/failures/{event_id}/dismiss", {"reason": "No longer wanted."}, event_id=one)
    yield call("POST", "/v1/failures/{event_id}/retry", event_id=other)


def contradict(service: Service, job_id: str) -> Answered:
    """Make a doubt about a new job; what its first callback was answered."""
    first = _callback(service, _told(job_id, "Success"))
    _callback(service, _told(job_id, "Failed"))
    return first


def fail_delivery(service: Service, job_id: str) -> None:
    """Report a job whose event the endpoint turns down."""
    _callback(service, _told(job_id, "Success", "Transcode"))


def _told(job_id: str, state: str, tag: str = "VoiceSeparate") -> bytes:
    job = {"JobId": job_id, "State": state, "Tag": tag, "Code": "Success" if state == "Success" else "Other"}
    times = {"CreationTime": "2026-01-05T10:00:00+0800", "EndTime": "2026-01-05T10:01:00+0800"}
    return json.dumps({"EventName": "TaskFinish", "JobsDetail": [job | times]}).encode()


def _callback(service: Service, body: bytes, **binding: Any) -> Answered:
    token = mint(Binding(nonce=new_nonce(), **binding), service.settings.callback_keys)
    answer = requests.post(f"{service.url}/callbacks/{token}", data=body, timeout=30)
    return "post", "/callbacks/{token}", None, answer.status_code, answer.json()


def written(found: Iterator[Answered]) -> dict[str, Any]:
    """By method and path: the body that was sent, and the answers by status."""
    said: dict[str, Any] = {}
    for method, path, body, status, answer in found:
        each = said.setdefault(f"{method} {path}", {"answers": {}})
        each["answers"][str(status)] = answer
        if body is not None:
            each["example"] = body
    plain: dict[str, Any] = _without_machine(said)
    return plain


def _without_machine(node: Any) -> Any:
    """Names of processes hold that of the machine, and links end: neither belongs in a document."""
    if isinstance(node, list):
        return [_without_machine(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {"worker": "host-1:42", "url": None}
    return {name: plain[name] if name in plain else _without_machine(each) for name, each in node.items()}


@contextmanager
def running_alone() -> Iterator[Service]:
    """The same with a Valkey and an emulator of its own, in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / each for each in ("valkey", "emulator", "service")]
        for folder in folders:
            folder.mkdir()
        with (
            Valkey(folders[0]) as valkey,
            Emulator(folders[1], free_port()) as emulator,
            running(valkey, emulator, folders[2]) as service,
        ):
            yield service


def main() -> None:
    with running_alone() as service:
        FILE.write_text(json.dumps(written(answers(service)), indent=1) + "\n")


if __name__ == "__main__":
    main()
