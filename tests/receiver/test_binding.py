"""A payload that contradicts its token is refused and stored as a refusal, the state does not change, and CI is
asked."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace

from app import create_app
from app.ci.incoming.payload import parse, parse_answer
from app.ci.matching.asked import Asked, AskedOperation
from app.core.clock import now_ms, rfc3339
from app.core.tokens import Binding, mint, read_token
from app.services import Services
from app.settings import Settings
from app.store import News, NotBelieved, Store
from app.store.submissions.submissions import Submission, new_submission_id
from app.submitter import SubmitRequest, Submitter
from app.submitter.callback_url import binding_of, valid_until
from tests.ci import samples
from tests.ci.samples import Tree
from tests.receiver.callbacks import a_token, body, body_of, due_in_s

JOB = "j0123456789abcdef0123456789abcdef"
INPUT = {"BucketId": "songs-1250000000", "Object": "in/tune.mp3", "Region": "ap-chongqing"}
REQUEST = {
    "input": {"bucket": "songs-1250000000", "region": "ap-chongqing", "object": "in/tune.mp3"},
    "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    "output": {"bucket": "songs-1250000000", "region": "ap-chongqing", "au_object": "out/voice.mp3"},
    "user_data": "order-42",
}


def submitted(services: Services, request: dict[str, object] = REQUEST, *jobs: str) -> str:
    """The token of a submission as the submitter makes it; CI's answer names these jobs."""
    draft = Submitter(services).draft(SubmitRequest.model_validate(request))
    services.store.submissions.create(
        Submission(draft.submission, "sending", rfc3339(now_ms()), rfc3339(now_ms() + 3_600_000), "own", "b", "r")
    )  # fmt: skip
    if jobs:
        answered(services.store, draft.submission, *jobs)
    return mint(binding_of(draft.submission, draft.asked, draft.expires), services.settings.callback_keys)


def answered(store: Store, submission: str, *jobs: str) -> None:
    """Store CI's answer to the submission."""
    details = [
        samples.voice_separate(JobId=job, State="Submitted", EndTime="-", StartTime="-") for job in jobs
    ]
    answer = parse_answer(samples.xml({"JobsDetail": details}))
    store.acceptor.accept(News(answer.details, "submit", "confirmed", submission=submission, ask_after=3600))


def submission_of(services: Services, token: str) -> str:
    return read_token(token, services.settings.callback_keys).submission or ""


@pytest.mark.parametrize(
    "changes",
    [
        {"Input": {**INPUT, "BucketId": "other-1250000000"}},
        {"Input": {**INPUT, "Region": "ap-guangzhou"}},
        {"Input": {**INPUT, "Object": "in/other.mp3"}},
        {"Input": {**INPUT, "Object": "in/tune.mp3/"}},
        {"Input": {**INPUT, "Object": "IN/tune.mp3"}},
        {"Tag": "Transcode"},
        {"Operation": {"UserData": "order-43"}},
        {"Operation": {"UserData": "order-42 "}},
        {"JobId": "jforged"},
    ],
)
def test_a_contradiction_is_refused(
    client: FlaskClient, services: Services, store: Store, changes: Tree
) -> None:
    """403; the history of the submission's job has it, the state stays, and CI is asked about the job at once."""
    token = submitted(services, REQUEST, JOB)
    assert (due_in_s(store, JOB) or 0) > 1000
    answer = client.post(f"/callbacks/{token}", data=body(**{"JobId": JOB, **changes}))
    assert (answer.status_code, answer.json["reason"]) == (403, "binding_mismatch")  # type: ignore[index]
    job = store.jobs.get(JOB)
    assert job is not None
    assert job.state == "Submitted"
    entries, count = store.jobs.history(JOB)
    assert [entry["kind"] for entry in entries] == ["submit", "refused"]
    assert (entries[1]["outcome"], entries[1]["reason"], count) == ("refused", "binding_mismatch", 2)
    assert token not in str(entries)
    assert (due_in_s(store, JOB) or 0) <= 0
    assert store.jobs.get("jforged") is None, "what it claimed is not known"
    assert store.refusals.newest(1)[0].reason == "binding_mismatch"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Input": None},
        {"Input": {}},
        {"Input": {"Object": "in/tune.mp3"}},
        {"Input": {**INPUT, "Object": "/in/tune.mp3"}},
        {"Input": {**INPUT, "Object": "//in/tune.mp3"}},
        {"Input": {**INPUT, "BucketId": "-", "Region": ""}},
        {"Input": {"Url": "https://songs.example.com/tune.mp3"}},
        {"Tag": None},
        {"Tag": "-"},
        {"Operation": {"UserData": None}},
        {"Operation": {"UserData": "-"}},
        {"Operation": None},
        {"State": None},
    ],
)
def test_an_absent_field_never_contradicts(client: FlaskClient, services: Services, changes: Tree) -> None:
    """CI omits fields, leaves them empty, or writes a dash; in XML as in JSON."""
    detail = samples.voice_separate(**{"JobId": JOB, **changes})
    for content in (body_of(detail), samples.xml(samples.event(detail))):
        token = submitted(services, REQUEST, JOB)
        answer = client.post(f"/callbacks/{token}", data=content)
        assert answer.status_code == 200, answer.json


def test_a_tag_that_is_only_the_event_is_absent(client: FlaskClient, settings: Settings) -> None:
    """``TaskFinish`` stands in for a missing Tag and contradicts none. Another event's name does."""
    token = a_token(settings, tags=("VoiceSeparate",))
    detail = samples.voice_separate(Tag=None)
    assert client.post(f"/callbacks/{token}", data=body_of(detail)).status_code == 200
    run = samples.to_json({"EventName": "WorkflowFinish", "WorkflowExecution": samples.workflow_run()})
    assert client.post(f"/callbacks/{token}", data=run).status_code == 403


@pytest.mark.parametrize("key", ["a", "/a", "//a", "///a/b", "a/", "a b", "é", "a%20b", "&amp;", "a" * 800])
def test_any_object_key_agrees_with_itself(client: FlaskClient, services: Services, key: str) -> None:
    """Whatever number of slashes either side begins with."""
    request = REQUEST | {"input": {"bucket": "songs-1250000000", "region": "ap-chongqing", "object": key}}
    token = submitted(services, request)
    for claim in (key, "/" + key.lstrip("/"), key.lstrip("/")):
        detail = samples.voice_separate(JobId=JOB, Input={**INPUT, "Object": claim})
        for content in (body_of(detail), samples.xml(samples.event(detail))):
            assert client.post(f"/callbacks/{token}", data=content).status_code == 200


def test_a_console_token_binds_what_it_was_made_for(client: FlaskClient, settings: Settings) -> None:
    """``--tag`` and ``--bucket`` of a long-lived URL; without them any job is taken."""
    assert client.post(f"/callbacks/{a_token(settings)}", data=body(Tag="Anything")).status_code == 200
    token = a_token(settings, tags=("VoiceSeparate", "Transcode"), bucket="songs-1250000000")
    assert client.post(f"/callbacks/{token}", data=body(Tag="Transcode")).status_code == 200
    assert client.post(f"/callbacks/{token}", data=body(Tag="Snapshot")).status_code == 403


def test_a_console_token_s_refusal_asks_about_the_job_it_named(
    client: FlaskClient, settings: Settings, store: Store
) -> None:
    """The refused report may be true, so CI is asked about a known job."""
    client.post(f"/callbacks/{a_token(settings)}", data=body(JobId="jknown", State="Running"))
    token = a_token(settings, bucket="other-1250000000")
    assert client.post(f"/callbacks/{token}", data=body(JobId="jknown")).status_code == 403
    assert (due_in_s(store, "jknown") or 0) <= 0
    assert store.jobs.history("jknown")[0][-1]["kind"] == "refused"


def test_after_its_life_a_submissions_url_is_refused_and_ci_is_asked(
    client: FlaskClient, services: Services, settings: Settings, store: Store
) -> None:
    """The report may be true: the job keeps its state, and CI is asked at once."""
    life = settings.model_copy(update={"callback_life": -2.0})
    token = submitted(replace(services, settings=life), REQUEST, JOB)
    answer = client.post(f"/callbacks/{token}", data=body(JobId=JOB))
    assert (answer.status_code, answer.json["reason"]) == (403, "expired_token")  # type: ignore[index]
    job = store.jobs.get(JOB)
    assert job is not None
    assert job.state == "Submitted"
    due = due_in_s(store, JOB)
    assert due is not None
    assert due <= 0


def test_several_operations_are_several_jobs_of_one_token(client: FlaskClient, services: Services) -> None:
    """Each job may carry the tag and user data of any of the operations, and no others."""
    operations = tuple(
        AskedOperation(
            tag=tag, template_id=None, audio_mode=None, outputs=(), user_data=user_data, job_level=None
        )
        for tag, user_data in (("Transcode", "one"), ("Snapshot", "two"))
    )
    asked = Asked(
        bucket="songs-1250000000", region="ap-chongqing", input_object="in/tune.mp3", input_url=None,
        queue_id=None, callback="own", operations=operations,
    )  # fmt: skip
    token = mint(
        binding_of(new_submission_id(), asked, valid_until(services.settings)),
        services.settings.callback_keys,
    )
    pair = [
        samples.voice_separate(JobId="jone", Tag="Transcode", Operation={"UserData": "one"}),
        samples.voice_separate(JobId="jtwo", Tag="Snapshot", Operation={"UserData": "two"}),
    ]
    assert client.post(f"/callbacks/{token}", data=body_of(pair)).status_code == 200
    assert client.post(f"/callbacks/{token}", data=body_of(pair[1])).status_code == 200
    wrong = samples.voice_separate(JobId="jtwo", Tag="Snapshot", Operation={"UserData": "three"})
    assert client.post(f"/callbacks/{token}", data=body_of(wrong)).status_code == 403


def test_without_the_check_nothing_contradicts(settings: Settings, services: Services) -> None:
    """``VERIFY`` without ``binding``: the token alone is enough."""
    client = create_app(settings.model_copy(update={"verify": frozenset({"token"})})).test_client()
    token = submitted(services, REQUEST, JOB)
    answer = client.post(f"/callbacks/{token}", data=body(JobId="jother", Tag="Transcode"))
    assert answer.status_code == 200


# ── a callback and the answer to its submission, in both orders ─────────────


def test_a_callback_before_the_answer_is_bound_by_it(
    client: FlaskClient, services: Services, store: Store
) -> None:
    """Its token is enough at first; when CI's answer names the job, its state stays as the callback reported it."""
    token = submitted(services)
    assert client.post(f"/callbacks/{token}", data=body(JobId=JOB)).status_code == 200
    job = store.jobs.get(JOB)
    assert job and job.state == "Success" and job.submission
    answered(store, job.submission.id, JOB)
    job = store.jobs.get(JOB)
    assert job and job.state == "Success" and job.submission and job.verification == "token"
    submission = store.submissions.get(job.submission.id)
    assert submission and submission.job_ids == (JOB,)


def test_the_answer_wins_over_a_claim(client: FlaskClient, services: Services, store: Store) -> None:
    """If CI's answer names another job than a callback, the claimed job leaves the submission, and CI is asked about
    it."""
    token = submitted(services)
    assert client.post(f"/callbacks/{token}", data=body(JobId="jclaimed")).status_code == 200
    claimed = store.jobs.get("jclaimed")
    assert claimed and claimed.submission
    answered(store, claimed.submission.id, JOB)
    claimed, real = store.jobs.get("jclaimed"), store.jobs.get(JOB)
    assert claimed and claimed.submission is None and claimed.verification == "unconfirmed"
    assert (due_in_s(store, "jclaimed") or 0) <= 0
    assert real and real.submission and real.state == "Submitted"
    answer = client.post(f"/callbacks/{token}", data=body(JobId="jclaimed", State="Failed"))
    assert answer.status_code == 403, "from now on the token is for CI's job alone"
    assert client.post(f"/callbacks/{token}", data=body(JobId=JOB)).status_code == 200


def test_a_claim_cannot_take_a_job_of_another_submission(
    client: FlaskClient, services: Services, store: Store
) -> None:
    """A job that CI's answer named stays with its submission, whatever comes with the token of another."""
    own = submitted(services, REQUEST, JOB)
    before = store.jobs.get(JOB)
    assert before and before.submission
    stranger = submitted(services)
    answer = client.post(f"/callbacks/{stranger}", data=body(JobId=JOB, State="Failed"))
    assert (answer.status_code, answer.json["reason"]) == (403, "binding_mismatch")  # type: ignore[index]
    after = store.jobs.get(JOB)
    assert after and after.submission == before.submission and after.state == "Submitted"
    assert client.post(f"/callbacks/{own}", data=body(JobId=JOB)).status_code == 200


def test_a_refusal_before_the_answer_is_not_forgotten(
    client: FlaskClient, services: Services, store: Store
) -> None:
    """No job is known yet; once the answer names one, CI is asked about it."""
    token = submitted(services)
    assert client.post(f"/callbacks/{token}", data=body(JobId=JOB, Tag="Transcode")).status_code == 403
    assert client.post(f"/callbacks/{token}", data=b"<broken").status_code == 400
    submission = submission_of(services, token)
    answered(store, submission, JOB)
    assert (due_in_s(store, JOB) or 0) <= 0


def test_a_token_of_a_submission_that_is_gone_still_counts(client: FlaskClient, settings: Settings) -> None:
    """The binding is in the token itself."""
    token = mint(Binding(submission=new_submission_id(), bucket="songs-1250000000"), settings.callback_keys)
    assert client.post(f"/callbacks/{token}", data=body()).status_code == 200
    wrong = body(Input={"BucketId": "other-1250000000"})
    assert client.post(f"/callbacks/{token}", data=wrong).status_code == 403


def test_the_store_refuses_all_or_nothing(services: Services, store: Store) -> None:
    """One job that is not the submission's refuses the others of its body with it."""
    token = submitted(services, REQUEST, JOB)
    pair = [samples.voice_separate(JobId=JOB), samples.voice_separate(JobId="jforged")]
    news = News(
        parse(body_of(pair)).details,
        "callback",
        "token",
        submission=submission_of(services, token),
        token="t",
    )
    with pytest.raises(NotBelieved):
        store.acceptor.accept(news)
    job = store.jobs.get(JOB)
    assert job and job.state == "Submitted"
