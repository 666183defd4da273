"""``flask submit voice-separate --from`` again: a row that was submitted is not sent twice."""

from __future__ import annotations

import json
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from app.core.clock import now_ms
from app.services import Services
from app.settings import Settings
from app.store.submissions.idempotency import IdempotencyRecord
from app.submitter.rows import read_csv
from harness.emulated import Emulated
from harness.servers import ROOT, eventually
from tests.cli.submit.conftest import Flask, command
from tests.cli.submit.row_files import COMMON, HEAD, file_of, rows_of, submitted, wanted


def has_seen(ci: Emulated, count: int) -> bool:
    return len(ci.requests()) > count


def test_a_run_that_was_killed_goes_on_and_sends_nothing_twice(
    settings: Settings, flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """After three runs that SIGKILL ended, the next one completes the file; no row is submitted twice."""
    path = file_of(tmp_path, HEAD + rows_of(200))
    argv, variables = command(
        settings, "submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "4"
    )
    for round_ in range(1, 4):
        log = (tmp_path / f"log-{round_}").open("wb")
        run = subprocess.Popen(argv, cwd=ROOT, env=variables, stdout=log, stderr=log)
        eventually(partial(has_seen, ci, round_ * 8), "rows at CI")
        run.send_signal(signal.SIGKILL)
        run.wait()
        log.close()
    before = len(submitted(services, ci))
    assert 0 < before < 200, "killed in the middle"
    report = tmp_path / "report.jsonl"
    ran = flask(
        "submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "16", "--report", str(report)
    )
    jobs = submitted(services, ci)
    assert len(jobs) == len(set(jobs)), "nothing is submitted twice"
    # A row whose process died between storing and sending is not sent by guess: it is looked for.
    lost = [json.loads(line)["status"] for line in report.read_text().splitlines()].count("lost")
    assert len(jobs) >= 200 - lost, ran.err
    assert ran.code == (1 if lost else 0), ran.err
    assert lost <= 12, "four at a time, three kills"


def test_a_row_whose_answer_was_lost_is_not_sent_again(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """Each run reports it as lost, until the relay has found its job."""
    path = file_of(tmp_path, HEAD + rows_of(3))
    ci.fault("lost_answer", on="submit", times=1)
    first = flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "1")
    assert first.code == 1
    assert "2 submitted, 1 CI's answer lost" in first.err
    second = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert second.code == 1
    assert "2 submitted before, 1 CI's answer lost" in second.err
    assert submitted(services, ci) == wanted(3)


def test_rows_may_be_moved_added_and_corrected(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """A row is known by its content, so only new and changed rows are sent. Under another file name, or with another
    label for all rows, the file is another run."""
    path = file_of(tmp_path, HEAD + rows_of(3))
    assert flask("submit", "voice-separate", *COMMON, "--from", str(path)).code == 0
    file_of(tmp_path, HEAD + rows_of(2, start=3) + "\n" + rows_of(3))
    again = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert "5 rows: 2 submitted, 3 submitted before." in again.err
    assert submitted(services, ci) == wanted(5)
    again = flask("submit", "voice-separate", *COMMON, "--label", "run=2", "--from", str(path))
    assert "5 rows: 5 submitted." in again.err
    copy = file_of(tmp_path, path.read_text(), "copy.csv")
    assert "5 rows: 5 submitted." in flask("submit", "voice-separate", *COMMON, "--from", str(copy)).err


def test_a_job_that_is_no_longer_stored_is_not_paid_for_again(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """The row's own record holds the ids of its jobs, also after job and submission were removed."""
    path = file_of(tmp_path, HEAD + rows_of(2))
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    job_ids = sorted(line.split("\t")[1] for line in ran.out.splitlines())
    for job_id in job_ids:
        services.store.retention.drop_job(job_id)
        assert services.store.jobs.get(job_id) is None
    report = tmp_path / "report.jsonl"
    flask("submit", "voice-separate", *COMMON, "--from", str(path), "--report", str(report))
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["before"] * 2
    assert sorted(each for line in lines for each in line["job_ids"]) == job_ids
    assert len(ci.requests()) == 2


def test_a_file_that_an_earlier_release_has_run_goes_on(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """What its journal calls submitted is not sent, what its records in Redis name is looked up, the rest is sent."""
    path = file_of(tmp_path, HEAD + rows_of(4))
    common = {
        "tag": "VoiceSeparate",
        "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    }
    with path.open() as file:
        keys = [row.key for row in read_csv(file, common)]
    ran = flask(
        "submit", "voice-separate", *COMMON, "--from", str(file_of(tmp_path, HEAD + rows_of(1, 2), "x.csv"))
    )
    job = services.store.jobs.get(ran.out.split()[1])
    assert job is not None
    assert job.submission is not None
    # Row 1 stands in the journal alone, row 2 in both, row 3 in Redis alone; row 4 was not begun.
    for key, submission in [(keys[1], "sgone"), (keys[2], job.submission.id)]:
        record = IdempotencyRecord(key, submission, now_ms())
        assert services.store.idempotency.take("rows", f"cafe.{key}", record, 60) is None
    lines: list[dict[str, Any]] = [{"journal": 1, "run": "cafe"}]
    lines += [{"key": k, "status": "submitted", "submission": "s1", "job_ids": ["j1"]} for k in keys[:2]]
    lines += [{"key": keys[3], "status": "failed", "submission": "s4", "job_ids": []}]
    Path(f"{path}.journal").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"key":"half a li'
    )
    for reported in ("1 submitted, 3 submitted before.", "4 submitted before."):
        again = flask("submit", "voice-separate", *COMMON, "--from", str(path))
        assert reported in again.err
    assert submitted(services, ci) == ["row-2", "row-3"]
