"""A submission is stored before it is sent, sent once, and gets the status of its result; the emulator counts."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec import structs

from app.ci.outgoing.request_xml import render
from app.core.tokens import read_token
from app.provider import AnswerLost, ProviderError, ServerError
from app.services import Services
from app.settings import Settings
from app.store import Unavailable
from app.store.submissions.submissions import AMBIGUOUS
from app.submitter import BadRequest, NotSent, RequestRejected, SubmitRequest, Submitter, Throttled
from app.submitter.send import may_be_sent_again
from harness.emulated import Emulated
from harness.servers import Valkey, free_port
from harness.settings import make_settings
from tests.submitter.conftest import REQUEST

COMMON = {
    "MediaBucketUnBinded": (403, "Bind the bucket"),
    "CIRoleNotExist": (400, "CI_QCSRole"),
    "SignatureExpired": (401, "clock"),
    "QueueSaturated": (403, "queue is full"),
    "AccessDenied": (403, "ci:CreateMediaJobs"),
}


def changed(services: Services, **settings: Any) -> Services:
    """The same store with other settings."""
    values = {name: value for name, value in services.settings if value is not None}
    return Services.open(Settings(_env_file=None, **(values | settings)), timeout=5)


def test_a_job_is_bound_to_its_submission(submitter: Submitter, services: Services, ci: Emulated) -> None:
    """CI's answer names the job; the submission knows it, and the job knows its submission."""
    receipt = submitter.submit(REQUEST)
    (job_id,) = receipt.job_ids
    kept = services.store.submissions.get(receipt.submission)
    assert kept is not None
    assert (kept.status, kept.job_ids, kept.labels) == ("submitted", (job_id,), {"order": "1"})
    assert (kept.callback, kept.bucket, kept.key_id, kept.error) == ("own", ci.bucket, "k1", None)
    job = services.store.jobs.get(job_id)
    assert job is not None
    assert job.submission is not None
    assert (job.submission.id, job.source, job.verification) == (receipt.submission, "submit", "confirmed")
    assert ci.statuses() == [200]


def test_its_callback_url_expires(services: Services) -> None:
    """CALLBACK_LIFE after it was made, for a request and for a file; the record says the same, and the token carries
    bucket and region, by which CI can be asked when the record is gone."""
    submitter, settings = Submitter(changed(services, callback_life="2 d")), services.settings
    began = time.time()
    draft = submitter.draft(REQUEST)
    again = submitter.draft_file(render(REQUEST, None, submitter.defaults))
    for each in (draft, again):
        token = (each.callback or "").rpartition("/")[2]
        binding = read_token(token, settings.callback_keys)
        assert token.encode() in each.xml
        assert binding.expires == each.expires
        assert began - 1 <= each.expires - 2 * 86400 <= time.time() + 1
        assert (binding.bucket, binding.region) == (settings.cos_bucket, settings.cos_region)
    submitter.send(draft)
    kept = services.store.submissions.get(draft.submission)
    assert kept is not None
    assert kept.token_expires == draft.expires * 1000


def test_a_submission_without_a_url_of_ours_has_no_expiry(submitter: Submitter, services: Services) -> None:
    receipt = submitter.submit(REQUEST.model_copy(update={"callback": "no"}))
    kept = services.store.submissions.get(receipt.submission)
    assert kept is not None
    assert (kept.key_id, kept.token_expires) == (None, None)


def test_it_is_stored_before_it_is_sent(submitter: Submitter, services: Services, ci: Emulated) -> None:
    """While CI has the request, the submission is there, `sending`, and waits to be looked for."""
    ci.fault("early")  # the callback comes before the answer: the receiver must find the submission
    draft = submitter.draft(REQUEST)
    assert services.store.submissions.get(draft.submission) is None, "a draft stores nothing"
    seen: list[str | None] = []
    inner = services.provider.submit

    class Watching:
        def submit(self, *args: Any) -> Any:
            kept = services.store.submissions.get(draft.submission)
            seen.append(kept.status if kept else None)
            assert draft.submission in services.store.submissions.unanswered()
            return inner(*args)

    watched = Submitter(
        Services(
            **{name: getattr(services, name) for name in Services.__struct_fields__}
            | {"provider": Watching()}
        )
    )
    assert watched.send(draft).job_ids
    assert seen == ["sending"]
    assert draft.submission not in services.store.submissions.unanswered(), "answered: not looked for"


def test_a_submission_that_cannot_be_stored_is_not_sent(valkey: Valkey, ci: Emulated) -> None:
    """Redis is away: nothing reaches CI."""
    settings = make_settings(
        "unix:///nowhere/at/all", ci_endpoint=ci.url, cos_bucket=ci.bucket, public_url="http://127.0.0.1:9"
    )
    with pytest.raises(Unavailable):
        Submitter(Services.open(settings, timeout=1)).submit(REQUEST)
    assert ci.requests() == []


@pytest.mark.parametrize("code", COMMON)
def test_a_refusal_by_ci_is_sent_once_and_reported(
    code: str, submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """CI's code, message, request id and what to do about it are in the error and in the submission."""
    status, advice = COMMON[code]
    ci.fault("error", on="submit", code=code, status=status, message="No, said CI.", times=1)
    with pytest.raises(RequestRejected) as raised:
        submitter.submit(REQUEST)
    error = raised.value
    assert (error.code, error.message) == (code, "No, said CI.")
    assert advice in error.advice
    assert error.request_id
    assert error.submission is not None
    kept = services.store.submissions.get(error.submission)
    assert kept is not None
    assert kept.status == "failed"
    assert kept.ci == {
        "code": code, "message": "No, said CI.", "request_id": error.request_id, "advice": error.advice
    }  # fmt: skip
    assert kept.error is not None
    assert error.request_id in kept.error
    assert ci.statuses() == [status], "sent exactly once"
    assert kept.id not in services.store.submissions.unanswered()


@pytest.mark.parametrize(
    ("fault", "answered"),
    [
        ({"kind": "lost_answer"}, 0),
        ({"kind": "drop"}, 0),
        ({"kind": "error", "code": "InternalError", "status": 500}, 500),
        ({"kind": "error", "code": "ServiceUnavailable", "status": 503}, 503),
    ],
    ids=["answer lost", "dropped", "500", "503"],
)
def test_a_lost_answer_is_never_followed_by_a_second_request(
    fault: dict[str, Any], answered: int, submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """CI may have it: it is sent once, the submission is `lost`, and it stays among those that are looked for."""
    ci.fault(**fault, on="submit", times=1)
    receipt = submitter.submit(REQUEST)
    assert receipt.job_ids == ()
    assert receipt.record.status == "lost"
    kept = services.store.submissions.get(receipt.submission)
    assert kept is not None
    assert kept.status == "lost"
    assert kept.ci is not None
    assert kept.ci["code"]
    assert receipt.submission in services.store.submissions.unanswered()
    assert ci.statuses() == [answered], "sent exactly once"


def test_slow_down_is_obeyed_and_tried_again(submitter: Submitter, services: Services, ci: Emulated) -> None:
    """SlowDown says that CI has not taken it: the same submission goes out again, after a pause."""
    ci.fault("error", on="submit", code="SlowDown", status=429, times=2)
    began = time.monotonic()
    receipt = submitter.submit(REQUEST)
    assert receipt.job_ids
    assert time.monotonic() - began > 1, "0.5 s and 1 s, with jitter"
    assert ci.statuses() == [429, 429, 200]
    bodies = {one["full"]["body"] for one in ci.requests()}
    assert len(bodies) == 1, "one submission, one callback URL"


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (Throttled("SlowDown"), True),
        (NotSent("ConnectionRefused"), True),
        (NotSent("ConnectTimeout"), True),
        (NotSent("CertificateInvalid"), False),
        (NotSent("NameNotResolved"), False),
        (NotSent("RequestInvalid"), False),
        (AnswerLost("AnswerTimeout"), False),
        (AnswerLost("ConnectionBroken"), False),
        (ServerError("HTTP503"), False),
        (RequestRejected("AccessDenied"), False),
    ],
    ids=lambda each: str(getattr(each, "code", each)),
)
def test_only_what_ci_has_certainly_not_taken_is_sent_again(error: ProviderError, again: bool) -> None:
    """And of that only what may be over in a moment: a name or a certificate that is wrong stays wrong."""
    assert may_be_sent_again(error) == again


def test_patience_with_slow_down_has_an_end(services: Services, ci: Emulated) -> None:
    """A caller who waits for an answer gets one: CI's SlowDown, and a failed submission."""
    ci.fault("error", on="submit", code="SlowDown", status=429)
    with pytest.raises(Throttled) as raised:
        Submitter(services, patience=2).submit(REQUEST)
    kept = services.store.submissions.get(raised.value.submission or "")
    assert kept is not None
    assert kept.status == "failed"
    assert set(ci.statuses()) == {429}


def test_a_refused_connection_is_tried_again(services: Services, ci: Emulated) -> None:
    """No server listens: it is retried a few times; then the submission is failed."""
    away = changed(services, ci_endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSent) as raised:
        Submitter(away, patience=2).submit(REQUEST)
    assert raised.value.code == "ConnectionRefused"
    kept = services.store.submissions.get(raised.value.submission or "")
    assert kept is not None
    assert kept.status == "failed"


def test_a_broken_request_is_neither_stored_nor_sent(
    submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """Every broken rule at once; nothing of it anywhere."""
    wrong = REQUEST.model_copy(update={"output": None, "user_data": "café"})
    with pytest.raises(BadRequest) as raised:
        submitter.submit(wrong)
    assert {each.field for each in raised.value.broken} >= {"output", "user_data"}
    assert ci.requests() == []
    assert services.store.submissions.unanswered() == []


def test_the_caller_gets_an_answer_that_redis_cannot_store(
    submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """CI named the job and then Redis went away: the caller learns the job's id, and the relay will find it."""
    broken = Services.open(services.settings, timeout=1)

    class Away:
        def take(self, news: Any) -> Any:
            raise Unavailable("away")

    broken = structs.replace(broken, store=structs.replace(broken.store, acceptor=Away()))
    receipt = Submitter(broken).submit(REQUEST)
    assert len(receipt.job_ids) == 1
    assert not receipt.stored
    kept = services.store.submissions.get(receipt.submission)
    assert kept is not None
    assert kept.status == "sending"
    assert receipt.submission in services.store.submissions.unanswered()


def test_news_that_ci_has_it_is_not_undone(services: Services, submitter: Submitter) -> None:
    """A late `lost` does not overwrite `submitted`; and nothing is made of a submission that is not there."""
    receipt = submitter.submit(REQUEST)
    assert not services.store.submissions.settle(receipt.submission, "lost", "late")
    kept = services.store.submissions.get(receipt.submission)
    assert kept is not None
    assert kept.status == "submitted"
    assert not services.store.submissions.settle("snone", "failed", "?")
    assert services.store.submissions.get("snone") is None


ELSEWHERE: list[tuple[dict[str, Any], str, str | None]] = [
    ({"callback": "no"}, "no", "no"),
    ({"callback": "https://example.com/mine"}, "foreign", "https://example.com/mine"),
    (
        {
            "callback_type": "TDMQ",
            "callback_mq_config": {"mq_region": "sh", "mq_mode": "Queue", "mq_name": "q"},
        },
        "queue",
        None,
    ),
    ({"callback_type": "Kafka", "allow": ["callback_type"]}, "queue", None),
]


@pytest.mark.parametrize(("choice", "kind", "callback"), ELSEWHERE, ids=str)
def test_a_job_whose_news_goes_elsewhere_is_polled_at_once(
    choice: dict[str, Any],
    kind: str,
    callback: str | None,
    submitter: Submitter,
    services: Services,
    ci: Emulated,
) -> None:
    """The record says where its callback goes; CI is asked after seconds, not after the deadline."""
    request = SubmitRequest.model_validate(REQUEST.model_dump() | choice)
    receipt = submitter.submit(request)
    job = services.store.jobs.get(receipt.job_ids[0])
    assert job is not None
    assert job.submission is not None
    assert job.submission.callback == kind
    due = services.store.db.client.zscore(services.store.db.key("due"), receipt.job_ids[0])
    assert due is not None
    assert float(due) / 1000 - time.time() < 10
    body = ci.requests()[0]["full"]["body"]
    assert (f"<CallBack>{callback}</CallBack>" in body) if callback else ("<CallBack>" not in body)


def test_without_a_public_url_jobs_are_polled(services: Services, ci: Emulated) -> None:
    """The request has CallBack=no; the record and a warning say so."""
    values = {name: value for name, value in services.settings if value is not None} | {"public_url": None}
    private = Services.open(Settings(_env_file=None, **values), timeout=5)
    draft = Submitter(private).draft(REQUEST)
    assert "no_public_url" in {each.word for each in draft.warnings}
    receipt = Submitter(private).send(draft)
    job = services.store.jobs.get(receipt.job_ids[0])
    assert job is not None
    assert job.submission is not None
    assert job.submission.callback == "no"
    assert "<CallBack>no</CallBack>" in ci.requests()[0]["full"]["body"]


def test_a_private_public_url_is_doubted_unless_ci_is_the_emulator(services: Services) -> None:
    """CI does not call private addresses; the emulator does."""
    assert "private_public_url" not in {each.word for each in Submitter(services).draft(REQUEST).warnings}
    values = {name: value for name, value in services.settings if value is not None} | {"ci_endpoint": None}
    real = Services.open(Settings(_env_file=None, **values), timeout=5)
    assert "private_public_url" in {each.word for each in Submitter(real).draft(REQUEST).warnings}


def test_several_operations_are_several_jobs_of_one_submission(
    submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """One request, one callback URL; CI's own node for another tag goes through as it is."""
    request = SubmitRequest.model_validate(
        {
            "input": {"object": "in/a.mp4"},
            "operations": [
                {
                    "voice_separate": {"audio_mode": "IsAudio", "audio_config": {}},
                    "output": {"au_object": "v.aac"},
                },
                {
                    "Tag": "Transcode",
                    "TemplateId": "t1",
                    "Output": {"Region": "ap-chongqing", "Bucket": ci.bucket, "Object": "out.mp4"},
                },
            ],
        }
    )
    receipt = submitter.submit(request)
    assert len(receipt.job_ids) == 2
    kept = services.store.submissions.get(receipt.submission)
    assert kept is not None
    assert kept.job_ids == receipt.job_ids
    tags = [job.tag for job in map(services.store.jobs.get, receipt.job_ids) if job]
    assert tags == ["VoiceSeparate", "Transcode"]
    assert ci.statuses() == [200]


def test_a_raw_file_is_sent_as_it_is(submitter: Submitter, ci: Emulated) -> None:
    """Every byte but CallBack and its format is the file's own."""
    xml = (
        f"<Request>\n  <!-- mine -->\n  <Tag>VoiceSeparate</Tag><Input><Object>in/a.mp3</Object></Input>\n"
        f"  <Operation><VoiceSeparate><AudioMode>IsAudio</AudioMode><AudioConfig/></VoiceSeparate>\n"
        f"  <Output><Region>ap-chongqing</Region><Bucket>{ci.bucket}</Bucket><AuObject>v.aac</AuObject></Output>\n"
        f"  </Operation></Request>"
    ).encode()
    receipt = submitter.send(submitter.draft_file(xml))
    assert len(receipt.job_ids) == 1
    body = ci.requests()[0]["full"]["body"]
    head, _, rest = body.partition("<CallBack>")
    assert head == xml.decode().removesuffix("</Request>")
    assert rest.startswith("http://127.0.0.1:9/callbacks/")
    assert rest.endswith("</Request>")


def test_a_job_without_input_is_submitted_and_bound(
    submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """By a raw operation and by a ready file: Tts has its text in its operation. Its callback is its own."""
    speech = {
        "TtsConfig": {"Input": "hello"},
        "Output": {"Region": "ap-chongqing", "Bucket": ci.bucket, "Object": "o"},
    }
    raw = SubmitRequest(tag="Tts", operation=speech, user_data="said")
    xml = render(raw, None, submitter.defaults)
    for draft in (submitter.draft(raw), submitter.draft_file(xml)):
        assert (draft.warnings, draft.asked.input_object) == ((), None)
        receipt = submitter.send(draft)
        job = services.store.jobs.get(receipt.job_ids[0])
        assert job is not None
        assert (job.tag, job.user_data, job.input) == ("Tts", "said", None)
        assert draft.callback is not None
        bound = read_token(draft.callback.rpartition("/")[2], services.settings.callback_keys)
        assert (bound.tags, bound.objects, bool(bound.user_data)) == (("Tts",), (), True)
    assert all("<Input" not in one["full"]["body"].partition("<Operation")[0] for one in ci.requests())


def test_what_may_be_sent_again(submitter: Submitter, services: Services, ci: Emulated) -> None:
    """A refusal came to nothing. One that was given up with jobs at CI that may be its own did not, for all we know."""
    ci.fault("lost_answer", on="submit", times=1)
    receipt = submitter.submit(REQUEST)
    store = services.store.submissions
    store.settle(receipt.submission, "failed", "Several fit.", {"code": AMBIGUOUS})
    kept = store.get(receipt.submission)
    assert kept is not None
    assert (kept.status, kept.came_to_nothing) == ("failed", False)
    ci.fault("error", on="submit", code="CIRoleNotExist", status=400, times=1)
    with pytest.raises(RequestRejected) as raised:
        submitter.submit(REQUEST)
    refused = store.get(raised.value.submission or "")
    assert refused is not None
    assert refused.came_to_nothing
