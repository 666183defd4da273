"""``flask submit voice-separate --from``: many rows, as fast as CI allows, also in two runs at the same time."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

from app.services import Services
from app.settings import Settings
from harness.emulated import Emulated
from harness.servers import ROOT, eventually
from tests.cli.submit.conftest import Flask, command
from tests.cli.submit.row_files import COMMON, HEAD, file_of, rows_of, submitted, wanted


def open_submissions(settings: Settings) -> list[str]:
    return Services.open(settings, timeout=5).store.submissions.unanswered()


def test_two_hundred_rows(flask: Flask, services: Services, ci: Emulated, tmp_path: Path) -> None:
    """Each row is one job; the command prints its line and its job's id; options fill empty fields. A second run sends
    nothing."""
    path = file_of(tmp_path, HEAD + rows_of(200))
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "32")
    assert ran.code == 0, ran.err
    assert submitted(services, ci) == wanted(200)
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert sorted(int(number) for number, _ in lines) == list(range(1, 201))
    job = services.store.jobs.get(lines[0][1])
    assert job is not None
    assert job.submission is not None
    kept = services.store.submissions.get(job.submission.id)
    assert kept is not None
    assert kept.labels == {"order": str(int(lines[0][0]) - 1)}
    assert "200 rows: 200 submitted." in ran.err

    again = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert again.code == 0, again.err
    assert "200 submitted before" in again.err
    assert submitted(services, ci) == wanted(200), "done twice, submitted once"


def test_slow_down_slows_all_threads(flask: Flask, services: Services, ci: Emulated, tmp_path: Path) -> None:
    """After SlowDown every thread pauses; each row is sent successfully once."""
    path = file_of(tmp_path, HEAD + rows_of(40))
    ci.fault("error", on="submit", code="SlowDown", status=429, times=5)
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "16")
    assert ran.code == 0, ran.err
    assert submitted(services, ci) == wanted(40)
    times = [one["at"] for one in ci.requests() if one["status"] == 429]
    after = [one["at"] for one in ci.requests() if one["status"] == 200]
    gaps = [
        later - earlier
        for earlier, later in zip(sorted(times + after), sorted(times + after)[1:], strict=False)
    ]
    assert max(gaps) > 0.3, "all threads paused"


def test_a_rate_is_not_exceeded(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """`--rate 5`: ten rows take two seconds, however many threads there are."""
    path = file_of(tmp_path, HEAD + rows_of(10))
    began = time.time()
    flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "10", "--rate", "5")
    times = [one["at"] for one in ci.requests()]
    assert len(times) == 10
    # From the start: the first row may have been late.
    assert times[-1] - began > 1.2


def test_the_same_refusal_again_and_again_ends_the_run(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """A missing role concerns every row: the run ends with advice, and leaves rows untried."""
    path = file_of(tmp_path, HEAD + rows_of(60))
    ci.fault("error", on="submit", code="CIRoleNotExist", status=400)
    ran = flask("submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "2")
    assert ran.code == 6
    assert "CI_QCSRole" in ran.err
    assert "not tried" in ran.err
    assert len(ci.requests()) < 30


def test_two_runs_of_one_file_at_a_time_share_its_rows(
    settings: Settings, flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """Each row is sent by one of them; each report has every row. A row of the other run is `before`, or `lost` while
    CI's answer is not stored."""
    path, reports = file_of(tmp_path, HEAD + rows_of(60)), [tmp_path / f"{n}.jsonl" for n in range(2)]
    runs = []
    for report in reports:
        arguments = ("--from", str(path), "--parallel", "4", "--report", str(report))
        argv, variables = command(settings, "submit", "voice-separate", *COMMON, *arguments)
        runs.append(
            subprocess.Popen(
                argv, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )
    assert {run.wait(120) for run in runs} <= {0, 1}
    assert len(ci.requests()) == 60, "each row is sent once"
    assert submitted(services, ci) == wanted(60)
    reported = [
        {line["row"]: line["status"] for line in map(json.loads, report.read_text().splitlines())}
        for report in reports
    ]
    for row in range(1, 61):
        assert sorted(each[row] for each in reported)[1] == "submitted", (
            f"row {row} is submitted by one of the two"
        )
        assert sorted(each[row] for each in reported)[0] in {"before", "lost"}
    again = flask("submit", "voice-separate", *COMMON, "--from", str(path))
    assert (again.code, "60 rows: 60 submitted before." in again.err) == (0, True)


def test_a_row_that_another_run_is_sending_is_named(
    settings: Settings, flask: Flask, ci: Emulated, tmp_path: Path
) -> None:
    """While CI's answer to the first run is outstanding, the second says that another run is sending the row."""
    path = file_of(tmp_path, HEAD + rows_of(1))
    ci.fault("slow", on="submit", seconds=20, times=1)
    argv, variables = command(settings, "submit", "voice-separate", *COMMON, "--from", str(path))
    run = subprocess.Popen(
        argv, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: len(open_submissions(settings)) == 1, "the first run has stored the row")
        run.send_signal(signal.SIGSTOP)  # it cannot get its answer, nor time out
        second = flask("submit", "voice-separate", *COMMON, "--from", str(path))
        assert second.code == 1
        assert "row 1: lost: another run" in second.err
    finally:
        run.kill()
        run.wait()
