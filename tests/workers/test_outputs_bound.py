"""Outputs are linked and looked up only if we asked for them or CI itself named them, not a callback alone."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace

from app import create_app
from app.ci.incoming.payload import parse
from app.ci.matching.asked import Asked, AskedOperation, AskedOutput
from app.ci.matching.bound import were_asked_for
from app.ci.report import Output, Report
from app.services import Services
from app.store import News
from app.store.runs.run import OUTPUTS_HANDLER, Run
from harness.servers import Emulator, eventually
from tests.ci import samples
from tests.workers.conftest import Start
from tests.workers.relay.asking import Relay, asked, end_at_ci, job_of, submit
from workers import check_outputs

OURS = "demo-1250000000"


def written(names: list[str], bucket: str = OURS) -> dict[str, Any]:
    """CI's node about files that it wrote."""
    file = {"Bucket": bucket, "Region": "ap-chongqing", "ObjectName": names}
    return {"MediaResult": {"OutputFile": file}, "Output": {"Bucket": bucket, "Region": "ap-chongqing"}}


def callback(job_id: str, names: list[str], bucket: str = OURS) -> bytes:
    detail = samples.voice_separate(
        JobId=job_id,
        Operation=written(names, bucket),
        Input={"BucketId": OURS, "Object": "input/demo.mp3", "Region": "ap-chongqing"},
    )
    return samples.to_json(samples.event(detail))


def accept_callback(services: Services, body: bytes, submission: str | None = None) -> None:
    services.store.acceptor.accept(
        News(parse(body).details, "callback", "token", body=body, submission=submission)
    )


def check(services: Services, job_id: str) -> None:
    """Check the outputs of the job's newest event, as the relay does."""
    posted = [each.event for each in services.store.outbox.after("0-0", 1000)]
    event = [each for each in posted if each.job_id == job_id and each.kind != "check"][-1]
    job = services.store.jobs.lean(event)
    check_outputs._Checker(services.provider, services.store).check(event, job)


def with_settings(services: Services, **changes: Any) -> Services:
    return Services.open(services.settings.model_copy(update=changes), timeout=5)


def heads(ci: Emulator) -> int:
    """How many outputs in our bucket were looked up. Requests about others are not counted: one that hung in an earlier
    test is listed when it ends."""
    return asked(ci, "object_head", OURS)


@pytest.fixture
def links(ours: Services) -> Any:
    """The outputs of a job, for a key with the scope `links`."""
    client: FlaskClient = create_app(ours.settings).test_client()
    key = {"Authorization": f"Bearer {ours.store.api_keys.create('l', frozenset({'read', 'links'}))}"}
    return lambda job_id: client.get(f"/v1/jobs/{job_id}", headers=key).get_json()


def test_a_forged_success_gets_no_link_and_no_head(
    ours: Services, ci: Emulator, relay: Relay, links: Any
) -> None:
    """The callback names an object in our bucket, and CI does not know the job; the record says why it has no link."""
    accept_callback(ours, callback("jforged", ["backups/customers.sql.gz"]))
    check(ours, "jforged")
    job = links("jforged")
    assert [each["url"] for each in job["outputs"]] == [None]
    assert (job["outputs_ok"], job["outputs_unchecked"]) == (None, "not_confirmed")
    assert heads(ci) == 0
    for _ in range(10):
        relay.ask()
    job = links("jforged")
    assert (job["outputs_unchecked"], job["outputs"][0]["url"]) == ("unknown_to_ci", None)
    assert ours.store.due.size() == 0
    assert heads(ci) == 0


def test_the_own_url_of_a_submission_links_nothing_that_it_did_not_ask_for(
    ours: Services, ci: Emulator, links: Any
) -> None:
    """If one of two names was not asked for, neither is linked or looked up."""
    submission, (job_id,) = submit(ours)
    accept_callback(ours, callback(job_id, ["out/background.mp3", "backups/customers.sql.gz"]), submission)
    check(ours, job_id)
    assert [each["url"] for each in links(job_id)["outputs"]] == [None, None]
    assert heads(ci) == 0


def test_requested_outputs_are_linked_at_once(ours: Services, ci: Emulator, links: Any) -> None:
    """Wildcards of the request are filled in; a confirmation by CI is not needed."""
    submission, (job_id,) = submit(ours)
    names = ["out/background.mp3", f"out/{job_id}/vocals.mp3"]
    accept_callback(ours, callback(job_id, names), submission)
    job = links(job_id)
    assert all(each["url"] for each in job["outputs"]) and job["outputs_unchecked"] is None
    with pytest.raises(Exception, match="is missing"):
        check(ours, job_id)
    assert heads(ci) == 2
    assert links(job_id)["outputs_ok"] is False


def test_after_ci_has_confirmed_the_outputs_are_looked_up(
    ours: Services, ci: Emulator, relay: Relay, links: Any
) -> None:
    """CI is asked about three jobs that only callbacks reported, in one request. Its answer is one event for each job,
    and then their outputs are looked up and linked."""
    output = {"object": "out/${jobid}/b.${ext}", "au_object": "out/${jobid}/v.${ext}"}
    ids = [submit(ours, callback="no", output=output)[1][0] for _ in range(3)]
    db = ours.store.db
    for job_id in ids:
        end_at_ci(ci, job_id)
        db.client.hdel(db.key("job", job_id), "submission")
        (answer,) = ours.provider.describe(OURS, "ap-chongqing", [job_id]).details
        body = samples.to_json({"EventName": "TaskFinish", "JobsDetail": dict(answer.raw)})
        accept_callback(ours, body)
        check(ours, job_id)
        assert links(job_id)["outputs_unchecked"] == "not_confirmed"
        score = db.client.zscore(db.key("due"), job_id)
        assert score is not None
    before, events = asked(ci, "describe"), ours.store.outbox.after("0-0", 1000)
    relay.ask()
    assert asked(ci, "describe") == before + 1
    fresh = ours.store.outbox.after("0-0", 1000)[len(events) :]
    assert sorted(each.event.job_id for each in fresh) == sorted(ids)
    assert {(each.event.kind, each.event.runs_handlers) for each in fresh} == {("poll", False)}
    relay.ask()
    assert len(ours.store.outbox.after("0-0", 1000)) == len(events) + 3, "announced once"
    for job_id in ids:
        check(ours, job_id)
        job = links(job_id)
        assert (job["outputs_ok"], job["outputs_unchecked"]) == (True, None)
        assert all(each["url"] and each["size"] for each in job["outputs"])


def test_a_confirmation_of_one_report_does_not_confirm_another(ours: Services, ci: Emulator) -> None:
    """A forged event is checked after CI's answer has replaced its report: nothing is looked up."""
    _, (job_id,) = submit(ours, callback="no")
    db = ours.store.db
    db.client.hdel(db.key("job", job_id), "submission")
    accept_callback(ours, callback(job_id, ["backups/customers.sql.gz"]))
    forged = [each.event for each in ours.store.outbox.after("0-0", 100) if each.event.kind == "callback"][-1]
    end_at_ci(ci, job_id)
    ours.store.due.ask(job_id)
    Relay(ours).ask()
    assert job_of(ours, job_id).source == "poll"
    job = ours.store.jobs.lean(forged)
    assert job.outputs_unchecked == "not_confirmed"
    check_outputs._Checker(ours.provider, ours.store).check(forged, job)
    assert heads(ci) == 0


def test_a_bucket_that_ci_cannot_be_asked_about(ours: Services, relay: Relay, links: Any) -> None:
    """The record says ``not_askable``."""
    body = samples.to_json(samples.event(samples.voice_separate(JobId="j1")))  # in songs-1250000000
    accept_callback(ours, body)
    check(ours, "j1")
    relay.ask()
    assert links("j1")["outputs_unchecked"] == "not_askable"


def test_a_trusted_bucket_needs_no_confirmation_by_ci(ours: Services, ci: Emulator) -> None:
    """Of a bucket in TRUST_OUTPUTS a hundred outputs are looked up, and the record says that there are more."""
    ours = with_settings(ours, trust_outputs=frozenset({OURS}))
    names = [f"out/{n}.mp3" for n in range(5000)]
    accept_callback(ours, callback("jmany", names))
    with pytest.raises(Exception, match="is missing"):
        check(ours, "jmany")
    assert heads(ci) == 100
    assert job_of(ours, "jmany").outputs_unchecked == "too_many"
    assert len(job_of(ours, "jmany").outputs) == 5000
    accept_callback(ours, callback("jelse", ["a", "b"], "other-1250000000"))
    assert job_of(ours, "jelse").outputs_unchecked == "not_confirmed"


def test_a_list_shows_a_hundred_outputs(ours: Services, key: dict[str, str]) -> None:
    """The list also shows how many there are; the job itself shows all."""
    client = create_app(ours.settings).test_client()
    accept_callback(ours, callback("jmany", [f"out/{n}.mp3" for n in range(2000)]))
    (listed,) = client.get("/v1/jobs", headers=key).get_json()["jobs"]
    assert (len(listed["outputs"]), listed["outputs_count"]) == (100, 2000)
    alone = client.get("/v1/jobs/jmany", headers=key).get_json()
    assert (len(alone["outputs"]), alone["outputs_count"]) == (2000, 2000)


@pytest.mark.parametrize("trusted", [False, True])
def test_thousands_of_names_do_not_keep_others_waiting(
    start_background: Start, ci: Emulator, trusted: bool
) -> None:
    """Three callbacks of 5,000 names each cause a hundred HEADs a job, none if the bucket is not trusted; a later job's
    handlers run."""
    service = start_background(
        {"HANDLERS": "workers.handlers"}, check_outputs=True, **({"trust_outputs": OURS} if trusted else {})
    )
    services = service.services
    for n in range(3):
        accept_callback(services, callback(f"jflood{n}", [f"o/{n}-{m}.mp3" for m in range(5000)]))
    accept_callback(services, callback("jinnocent", []))

    def is_over(job_id: str) -> bool:
        runs = services.store.runs.of_job(job_id)
        return bool(runs) and all(run.state in {"done", "failed"} for run in runs)

    eventually(lambda: is_over("jinnocent"), "the innocent job's handlers")

    def checks(job_id: str) -> list[Run]:
        return [run for run in services.store.runs.of_job(job_id) if run.handler == OUTPUTS_HANDLER]

    forged = [f"jflood{n}" for n in range(3)]
    eventually(lambda: all(map(is_over, forged)), "the others' handlers")
    if not trusted:
        assert heads(ci) == 0
        return
    # A check whose HEAD got no answer in time is tried again, from its first output.
    tries = sum(len(run.tries) for each in forged for run in checks(each))
    assert 300 <= heads(ci) <= tries * 100


ASKED = Asked(
    bucket=OURS,
    region="ap-chongqing",
    input_object="in.mp3",
    input_url=None,
    queue_id=None,
    callback="own",
    operations=(
        AskedOperation(
            tag="VoiceSeparate",
            template_id=None,
            audio_mode=None,
            user_data=None,
            job_level=None,
            outputs=tuple(
                AskedOutput(role=None, bucket=OURS, region="ap-chongqing", object=key)
                for key in (
                    "/out/plain.mp3",
                    "out/${JobID}/v.${Ext}",
                    "${ext}/x.${EXT}",
                    "any/${InputName}.${ext}",
                )
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("out/plain.mp3", True),
        ("out/j1/v.mp3", True),
        ("out/j1/v.m4a", True),
        ("mp3/x.mp3", True),
        ("mp3/x.aac", False),
        ("out/j2/v.mp3", False),
        ("out/j1/v.", False),
        ("out/j1/v.a/b", False),
        ("out/j1/v." + "a" * 11, False),
        ("out/j1/v.mp3/secret", False),
        ("any/secret.mp3", False),
        ("any/${InputName}.mp3", False),
        ("out/plain.mp3 ", False),
        ("OUT/plain.mp3", False),
        ("", False),
    ],
)
def test_which_names_were_asked_for(key: str, right: bool) -> None:
    """``${jobid}`` is this job's, ``${ext}`` one short word; a wildcard that could be any name matches none."""
    output = Output(bucket=OURS, region="ap-chongqing", object=key)
    assert were_asked_for(Report(job_id="j1", outputs=(output,)), ASKED) is right


@pytest.mark.parametrize(
    ("bucket", "region"), [("other-1250000000", "ap-chongqing"), (OURS, "ap-beijing"), (None, None)]
)
def test_the_bucket_must_be_the_one_asked_for(bucket: str | None, region: str | None) -> None:
    """The same name elsewhere is another object."""
    output = Output(bucket=bucket, region=region, object="out/plain.mp3")
    assert not were_asked_for(Report(job_id="j1", outputs=(output,)), ASKED)


def test_a_name_of_wildcards_costs_no_time() -> None:
    """A name of 100,000 wildcards is matched before the timeout of the test."""
    many = replace(ASKED.operations[0].outputs[0], object="${ext}" * 100_000)
    operation = replace(ASKED.operations[0], outputs=(many,))
    output = Output(bucket=OURS, region="ap-chongqing", object="a" * 100_000)
    assert were_asked_for(Report(job_id="j1", outputs=(output,)), replace(ASKED, operations=(operation,)))
