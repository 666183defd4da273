"""``flask jobs import`` and ``flask queues list``: CI's own lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.ci.outgoing.request import load_request
from app.ci.outgoing.request_xml import render
from app.services import Services
from app.store.events.event import Only
from app.submitter import Submitter
from harness.emulated import Emulated
from harness.servers import eventually
from tests.cli.submit.conftest import Flask
from tests.submitter.conftest import REQUEST


def elsewhere(services: Services, count: int) -> list[str]:
    """Jobs that were submitted elsewhere: CI has them, and they are unknown here."""
    ids = []
    for n in range(count):
        request = load_request(
            REQUEST.model_dump(exclude_none=True, exclude={"labels"}) | {"user_data": f"theirs-{n}"}
        )
        xml = render(request, "no", Submitter(services).defaults)
        answer = services.provider.submit(services.settings.cos_bucket, services.settings.cos_region, xml)
        ids.append(answer.details[0].report.job_id)
    return ids


def ended(services: Services, ids: list[str]) -> bool:
    place = services.settings.cos_bucket, services.settings.cos_region
    return all(detail.report.terminal for detail in services.provider.describe(*place, ids).details)


def test_jobs_of_others_are_imported_page_by_page(flask: Flask, services: Services, ci: Emulated) -> None:
    """More than one page; a second import changes nothing."""
    ids = elsewhere(services, 104)
    eventually(lambda: ended(services, ids), "the jobs to end")
    ran = flask("jobs", "import", "--after", "1h")
    assert ran.code == 0, ran.err
    assert ran.out == "104 jobs: 104 new, 0 with news, 0 known.\n"
    assert "importing VoiceSeparate" in ran.err
    assert len(ci.requests("list")) == 2
    job = services.store.jobs.get(ids[50])
    assert job is not None
    assert (job.state, job.source, job.verification, job.user_data) == (
        "Success",
        "poll",
        "confirmed",
        "theirs-50",
    )
    version = job.version
    again = flask("jobs", "import", "--after", "1h", "--json")
    assert again.json == {"new": 0, "news": 0, "known": 104}
    same = services.store.jobs.get(ids[50])
    assert same is not None
    assert same.version == version


def test_known_jobs_are_brought_up_to_date(flask: Flask, services: Services, ci: Emulated) -> None:
    """Such as a job whose callback never came."""
    ci.fault("lose")
    job_id = Submitter(services).submit(REQUEST).job_ids[0]
    eventually(lambda: ended(services, [job_id]), "the job to end")
    assert flask("jobs", "import", "--after", "1h", "--json").json == {"new": 0, "news": 1, "known": 0}
    job = services.store.jobs.get(job_id)
    assert job is not None
    assert (job.state, job.submission is not None) == ("Success", True)


def test_a_job_that_goes_on_is_asked_about_later(flask: Flask, services: Services, ci: Emulated) -> None:
    """An imported job that has not ended is in the schedule of questions."""
    ci.fault("stuck")
    (job_id,) = elsewhere(services, 1)
    flask("jobs", "import", "--after", "1h")
    assert services.store.db.client.zscore(services.store.db.key("due"), job_id) is not None


def test_only_the_span_and_the_tag_are_walked(flask: Flask, services: Services, ci: Emulated) -> None:
    """`--after`, `--before` and `--tag` are CI's own filters."""
    elsewhere(services, 1)
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assert flask("jobs", "import", "--after", later, "--json").json["new"] == 0
    assert flask("jobs", "import", "--after", "2d", "--before", "1d", "--json").json["new"] == 0
    assert flask("jobs", "import", "--after", "1h", "--tag", "Transcode", "--json").json["new"] == 0
    assert flask("jobs", "import", "--after", "1h", "--tag", "Transcode", "--tag", "VoiceSeparate", "--json").json == {
        "new": 1, "news": 0, "known": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    "fault", [{"code": "SlowDown", "status": 429}, {"code": "ServiceUnavailable", "status": 503}]
)
def test_a_short_failure_of_ci_is_retried(
    fault: dict[str, object], flask: Flask, services: Services, ci: Emulated
) -> None:
    """A question costs nothing, so it is repeated."""
    elsewhere(services, 1)
    ci.fault("error", on="list", times=1, **fault)
    assert flask("jobs", "import", "--after", "1h", "--json").json["new"] == 1


def test_a_refusal_by_ci_ends_the_run(flask: Flask, ci: Emulated) -> None:
    """With CI's error code, and exit code 6."""
    ci.fault("error", on="list", code="AccessDenied", status=403)
    ran = flask("jobs", "import", "--after", "1h")
    assert ran.code == 6
    assert "AccessDenied" in ran.err
    assert flask("jobs", "import", "--after", "someday").code == 2
    assert flask("jobs", "import").code == 2


def test_a_dry_run_counts_and_stores_nothing(flask: Flask, services: Services, ci: Emulated) -> None:
    """Its numbers of new, changed and known jobs are those of the import."""
    ci.fault("lose")
    ours = Submitter(services).submit(REQUEST).job_ids[0]
    ids = elsewhere(services, 3)
    eventually(lambda: ended(services, [ours, *ids]), "the jobs to end")
    foreseen = flask("jobs", "import", "--after", "yesterday", "--dry-run", "--json").json
    assert foreseen == {"new": 3, "news": 1, "known": 0}
    assert "Nothing was stored" in flask("jobs", "import", "--after", "24h", "--dry-run").out
    assert not any(services.store.jobs.exists(each) for each in ids)
    assert flask("jobs", "import", "--after", "1h", "--json").json == foreseen
    assert flask("jobs", "import", "--after", "1h", "--dry-run", "--json").json == {
        "new": 0,
        "news": 0,
        "known": 4,
    }


def test_an_import_without_handlers_makes_events_that_run_nothing(
    flask: Flask, services: Services, ci: Emulated
) -> None:
    """Listeners receive the events; no handler and no endpoint runs, not even one that wants every event."""
    ids = elsewhere(services, 2)
    eventually(lambda: ended(services, ids), "the jobs to end")
    flask("jobs", "import", "--after", "1h", "--no-handlers")
    events = [each.event for each in services.store.outbox.after("0-0", 100)]
    assert sorted(each.job_id for each in events) == sorted(ids)
    no_handler = Only()
    assert {(each.runs_handlers, each.only) for each in events} == {(False, no_handler)}
    assert not no_handler.means(("mine.publish", None)) and not no_handler.means(("forward", "there"))
    entries, _ = services.store.jobs.history(ids[0])
    assert [each.get("only") for each in entries] == ["none"]


def test_the_earlier_names_of_options_still_work(flask: Flask, ci: Emulated) -> None:
    """The help has only the new ones."""
    assert flask("jobs", "import", "--since", "1h", "--until", "30m").code == 0
    said = flask("jobs", "import", "--help").out
    assert "--after" in said and "--before" in said and "--since" not in said and "--until" not in said


def test_queues_are_listed(flask: Flask, ci: Emulated) -> None:
    """As a table, and as JSON with CI's values; neither shows the address of a callback."""
    ran = flask("queues", "list")
    assert ran.code == 0, ran.err
    assert "queue-speech-1" in ran.out
    assert ran.out.splitlines()[0].split()[:3] == ["id", "name", "state"]
    queues = flask("queues", "list", "--json").json["queues"]
    speech = next(queue for queue in queues if queue["category"] == "Speeching")
    assert (speech["state"], speech["max_size"], speech["notify"]["state"]) == ("Active", 10000, "Off")
    assert flask("queues", "list", "--state", "Paused", "--json").json == {"queues": []}
