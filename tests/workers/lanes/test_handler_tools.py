"""Handlers read the outputs of their job; `flask handlers` lists them and runs one in the foreground."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from app.core.clock import now_ms
from app.provider import Provider
from app.services import Services, provider_config
from app.submitter import SubmitRequest, Submitter
from harness.servers import ROOT, Emulator, Service, as_environment, eventually
from tests.workers.conftest import Start
from tests.workers.news import body, tell
from tests.workers.relay.asking import REQUEST, Relay, change, end_at_ci, job_of, submit
from workers import registry
from workers.handlers import Job, NotConfirmed, OutputFile
from workers.outputs import access_for, readable
from workers.testing import event_from


def _latest(services: Services, job_id: str) -> Job:
    event = [each.event for each in services.store.outbox.after("0-0", 1000) if each.event.job_id == job_id][
        -1
    ]
    job = services.store.jobs.lean(event)
    provider = Provider(provider_config(services.settings))
    return readable(job, access_for(services.store, provider, 60, event, job))


def test_an_output_is_opened_downloaded_and_linked(
    ours: Services, ci: Emulator, relay: Relay, tmp_path: Path
) -> None:
    """The outputs of a job that we submitted; a download leaves no temporary file."""
    _, (job_id,) = submit(ours)
    end_at_ci(ci, job_id)
    relay.ask()
    job = _latest(ours, job_id)
    assert job.outputs and isinstance(job.outputs[0], OutputFile)
    for output in job.outputs:
        with output.open() as stream:
            content = stream.read()
        assert content and hashlib.md5(content).hexdigest() == output.md5  # noqa: S324 - CI's own
        path = output.download(tmp_path / "file")
        assert path.read_bytes() == content
        with urllib.request.urlopen(output.url or "") as answer:  # noqa: S310 - the emulator
            assert answer.read() == content
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert (
        job.model_dump(mode="json")["outputs"][0]
        == job_of(ours, job_id).model_dump(mode="json")["outputs"][0]
    )


def test_a_missing_object_raises_file_not_found(
    ours: Services, ci: Emulator, relay: Relay, tmp_path: Path
) -> None:
    """The download leaves no file."""
    _, (job_id,) = submit(ours)
    end_at_ci(ci, job_id)
    relay.ask()
    output = _latest(ours, job_id).outputs[0]
    gone = OutputFile(object="no/such", bucket=output.bucket, region=output.region, access=output.access)
    with pytest.raises(FileNotFoundError):
        gone.download(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_an_output_named_only_by_a_callback_is_not_read(ours: Services, ci: Emulator) -> None:
    """The object could belong to anyone: it has no link, cannot be read, and CI is asked."""
    began = now_ms()
    job_id, _ = tell(ours, "Success")
    output = _latest(ours, job_id).outputs[0]
    assert output.url is None
    for read in (output.open, output.link):
        with pytest.raises(NotConfirmed, match="CI is asked"):
            read()
    asked_at = ours.store.db.client.zscore(ours.store.db.key("due"), job_id)
    assert asked_at is not None and asked_at >= began + 1000, "questions are collected for a second"
    assert ours.store.due.size() == 1


def test_event_from_takes_state_labels_submission_and_outputs() -> None:
    """Event and job agree in state and labels; outputs have the given content; a wrong state is refused."""
    names = [each.object for each in event_from(body("j1"))[1].outputs]
    event, job = event_from(
        body("j1"),
        state="Failed",
        labels={"show": "news"},
        submission={"overdue": True},
        outputs={names[0]: b"abc"},
    )
    assert event.state == job.state == event.report["state"] == "Failed" and job.terminal
    assert event.labels == job.labels == {"show": "news"}
    assert job.submission and job.submission.overdue
    assert job.outputs[0].open().read() == b"abc" and job.outputs[0].url
    with pytest.raises(FileNotFoundError):
        job.outputs[-1].open()
    assert event_from(body("j1"), state="Running")[1].terminal is False
    with pytest.raises(ValueError, match="is not one of CI's states"):
        event_from(body("j1"), state="Done")


def test_a_doubtful_tag_is_a_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler for a tag that CI does not use would never run; for a misspelt one the right one is named."""
    monkeypatch.setattr(registry, "_handlers", {})
    for tag in ("VoiceSeperate", "Transcode", "Zebra"):
        registry.handler(tag=tag, name=tag)(lambda event, job: None)
    registry.warn_of_doubtful_tags()
    assert [each.getMessage().partition(" for the tag ")[2] for each in caplog.records] == [
        "'VoiceSeperate', which is no tag of CI that is known here; did you mean 'VoiceSeparate'?",
        "'Zebra', which is no tag of CI that is known here",
    ]


MODULE = """
from pathlib import Path
from workers.handlers import Event, Job, handler

HERE = Path(__file__).parent

@handler(tag="VoiceSeparate", state="Success", name="fetch", tries=2, backoff=0.1, queue="slow", on=("news", "doubt"))
def fetch(event: Event, job: Job) -> None:
    output = job.outputs[0].download(HERE / "fetched")
    print("fetched", job.job_id, event.event_id, output.stat().st_size)

@handler(tag="Other", name="breaks")
def breaks(event: Event, job: Job) -> None:
    raise RuntimeError("no such customer")

@handler(tag="Other", name="forgets")
def forgets(event: Event, job: Job) -> object:
    async def publish() -> None:
        print("published")

    return publish()
"""


@pytest.fixture
def service(start: Start, tmp_path: Path) -> Service:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "fetching_handlers.py").write_text(MODULE)
    return start({"PYTHONPATH": str(tmp_path / "mine")}, handlers="fetching_handlers", trust_outputs="")


def _flask(service: Service, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | as_environment(service.services.settings) | {"PYTHONPATH": f"{folder}:{ROOT}"}
    line = [sys.executable, "-m", "flask", "--app", "app", "handlers", *arguments]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_handlers_are_listed_and_run_in_the_foreground(service: Service, tmp_path: Path) -> None:
    """`flask handlers list` shows what is declared; `run` calls one on a stored job, and its exit code says whether the
    handler failed, or handler or job is unknown."""
    folder = tmp_path / "mine"
    listed = _flask(service, folder, "list", "--json")
    assert listed.returncode == 0
    names = {each["name"]: each for each in json.loads(listed.stdout)["handlers"]}
    assert names["fetch"]["queue"] == "slow" and names["fetch"]["on"] == ["doubt", "news"]
    assert names["fetch"]["tag"] == ["VoiceSeparate"] and names["fetch"]["tries"] == 2
    assert "fetch  " in _flask(service, folder, "list").stdout

    job_id, event_id = tell(service.services, Tag="Other")
    failed = _flask(service, folder, "run", "breaks", job_id)
    assert failed.returncode == 1 and "RuntimeError: no such customer" in failed.stderr
    missing = _flask(service, folder, "run", "nothing", job_id)
    assert missing.returncode == 3 and "breaks, fetch, forgets" in missing.stderr
    assert _flask(service, folder, "run", "breaks", "no-such-job").returncode == 3
    assert _flask(service, folder, "run", "breaks", job_id, "--event", event_id).returncode == 1


def test_a_coroutine_that_a_handler_returns_has_not_run(service: Service, tmp_path: Path) -> None:
    """`flask handlers run` fails then, as the run of a worker does."""
    job_id, _ = tell(service.services, Tag="Other")
    ended = _flask(service, tmp_path / "mine", "run", "forgets", job_id)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.endswith("forgets returned a coroutine that is not awaited, so nothing has run.\n")


def test_a_worker_s_handler_downloads(service: Service, ci: Emulator, tmp_path: Path) -> None:
    """The handler downloads an output in a worker, and with `flask handlers run`."""
    change(ci, queue_seconds=0, run_seconds=0.2)
    made = Submitter(service.services).submit(SubmitRequest.model_validate(REQUEST))
    (job_id,) = made.job_ids
    path = tmp_path / "mine" / "fetched"
    runs = service.services.store.runs
    eventually(path.exists, lambda: str([run.tries for run in runs.of_job(job_id)]))
    eventually(lambda: {run.state for run in runs.of_job(job_id)} == {"done"}, "the run to be recorded")
    done = _flask(service, tmp_path / "mine", "run", "fetch", job_id)
    assert done.returncode == 0 and done.stdout.startswith(f"fetched {job_id} "), done.stderr
