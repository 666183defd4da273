"""A command says how many paid jobs a file has before it sends, and a budget stops it, for commands and the API
together."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from app.provider import ProviderError
from app.redis.scripts import decoded_all
from app.services import Services
from app.settings import Settings
from app.store.access.api_keys import SCOPES
from app.store.reading.listing import Filter
from app.store.submissions.submissions import OverBudget
from app.submitter import Submitter
from harness.emulated import Emulated
from harness.servers import eventually
from tests.cli.submit.conftest import ONE, Flask
from tests.submitter.conftest import REQUEST

COMMON = ("submit", "voice-separate", "--audio-mode", "IsAudio", "--codec", "mp3", "--from")


def file_of(tmp_path: Path, count: int) -> str:
    path = tmp_path / "jobs.csv"
    rows = [f"in/{n}.mp3,out/{n}.mp3" for n in range(count)]
    path.write_text("\n".join(["input.object,output.au_object", *rows]))
    return str(path)


def sent(ci: Emulated) -> int:
    return len(ci.requests("submit"))


def test_a_file_of_more_jobs_than_its_maximum_sends_none(flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """Exit code 2, both numbers in the message. Rows that were sent before cost nothing again."""
    ran = flask(*COMMON, file_of(tmp_path, 5), "--max", "4")
    assert ran.code == 2
    assert "5 paid jobs" in ran.err and "--max allows 4" in ran.err and "Nothing was sent" in ran.err
    assert sent(ci) == 0
    assert flask(*COMMON, file_of(tmp_path, 3), "--max", "3").code == 0
    assert flask(*COMMON, file_of(tmp_path, 5), "--max", "2").code == 0
    assert flask(*COMMON, file_of(tmp_path, 5), "--max", "0").code == 0
    assert sent(ci) == 5
    assert flask("submit", "voice-separate", *ONE, "--max", "3").code == 2, "it belongs to files"


def test_the_budget_of_the_day_stops_a_file_before_its_first_row(
    flask: Flask, ci: Emulated, tmp_path: Path
) -> None:
    """What commands and the API sent today counts."""
    assert flask("submit", "voice-separate", *ONE, submit_max_per_day=4).code == 0
    ran = flask(*COMMON, file_of(tmp_path, 4), submit_max_per_day=4)
    assert ran.code == 2
    assert "4 paid jobs, and 3 are left for today" in ran.err and "SUBMIT_MAX_PER_DAY is 4" in ran.err
    assert sent(ci) == 1
    assert flask(*COMMON, file_of(tmp_path, 3), submit_max_per_day=4).code == 0
    last = flask("submit", "voice-separate", *ONE, submit_max_per_day=4)
    assert last.code == 2
    assert "allows 4 jobs a day" in last.err and "4 were sent today" in last.err
    assert sent(ci) == 4


def test_the_api_answers_429(settings: Settings, services: Services, ci: Emulated) -> None:
    """With its reason, until when, and nothing stored or sent; the same request is sent when there is room."""
    app = create_app(settings.model_copy(update={"submit_max_per_day": 1}))
    headers = {"Authorization": f"Bearer {services.store.api_keys.create('one', frozenset(SCOPES))}"}
    body = REQUEST.model_dump(mode="json", exclude_none=True)

    def submit() -> Any:
        return app.test_client().post("/v1/jobs", json=body, headers=headers | {"Idempotency-Key": key})

    key = "first"
    assert submit().status_code == 201
    key = "second"
    refused = submit()
    problem = refused.get_json()
    assert (refused.status_code, problem["reason"]) == (429, "budget_spent")
    assert (
        "SUBMIT_MAX_PER_DAY allows 1 jobs a day" in problem["detail"]
        and "Nothing was sent" in problem["detail"]
    )
    assert 0 < int(refused.headers["Retry-After"]) <= 86400
    assert sent(ci) == 1
    assert len(services.store.submissions.page(2**53, 10)) == 1
    app = create_app(settings)
    assert submit().status_code == 201


def test_all_senders_together_keep_to_the_budget(services: Services, ci: Emulated) -> None:
    """Counted in the step that stores the submission: threads, processes and hosts cannot pass it together."""
    ours = services.settings.model_copy(update={"submit_max_per_day": 5})
    refused: list[OverBudget] = []

    def submit() -> None:
        try:
            Submitter(Services.open(ours, timeout=5)).submit(REQUEST)
        except OverBudget as error:
            refused.append(error)

    threads = [threading.Thread(target=submit) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sent(ci), len(refused), services.store.submissions.sent_today()) == (5, 7, 5)


@pytest.mark.parametrize(("fault", "counts"), [("error", 0), ("lost_answer", 1)])
def test_jobs_that_ci_refused_do_not_count(services: Services, ci: Emulated, fault: str, counts: int) -> None:
    """A submission whose answer was lost may be a job, so it counts."""
    changes = {"code": "ResourceNotFound", "status": 400} if fault == "error" else {}
    ci.fault(fault, on="submit", times=1, **changes)
    try:
        Submitter(services).submit(REQUEST)
    except ProviderError:
        assert fault == "error"
    assert services.store.submissions.sent_today() == counts
    ttl = services.store.db.client.ttl(services.store.db.key("spent", today(services)))
    assert 86400 < int(ttl) <= 2 * 86400


def today(services: Services) -> str:
    (found,) = decoded_all(services.store.db.client.keys(services.store.db.key("spent", "*")))
    return found.rpartition(":")[2]


def test_a_dry_run_says_what_it_would_cost(
    flask: Flask, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """Paid jobs, and minutes of audio where an earlier job on the same file has shown its length; rows that were sent
    before cost nothing; and whether a budget would stop it."""
    path = file_of(tmp_path, 1)
    assert flask(*COMMON, path).code == 0
    ids = [job.job_id for job in services.store.jobs.page(Filter(), 10).jobs]
    eventually(lambda: flask("jobs", "refresh", *ids).code == 0 and _ended(services, ids), "the job to end")
    ran = flask(*COMMON, file_of(tmp_path, 3), "--max", "1", "--dry-run")
    assert ran.code == 0
    assert "3 of 3 rows can be sent" in ran.err and "1 of them were submitted before" in ran.err
    assert "2 paid jobs; the length of the audio is not known" in ran.err
    assert "--max allows 1" in ran.err
    other = tmp_path / "other.csv"
    other.write_text(
        "input.object,output.au_object\nin/0.mp3,a.mp3\nin/0.mp3,b.mp3\nin/9.mp3,c.mp3\n,d.mp3\n"
    )
    printed = flask(*COMMON, str(other), "--dry-run").err
    assert "3 paid jobs, " in printed and " minutes of audio in 2 of them; 1 of unknown length" in printed
    single = flask("submit", "voice-separate", *ONE, "--dry-run")
    assert "1 paid job; the length of the audio is not known" in single.err
    assert sent(ci) == 1


def _ended(services: Services, ids: list[str]) -> bool:
    return all((job := services.store.jobs.get(each)) is not None and job.terminal for each in ids)
