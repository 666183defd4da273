"""A submission is stored before it is sent, sent once, and bound to the jobs that CI names; the emulator counts."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from app.ci.outgoing.request_xml import render
from app.core.tokens import read_token
from app.services import Services
from app.store import Unavailable
from app.submitter import BadRequest, SubmitRequest, Submitter
from harness.emulated import Emulated
from harness.servers import Valkey
from harness.settings import make_settings
from tests.submitter.conftest import REQUEST


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


def test_a_submission_is_stored_before_it_is_sent(
    submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """While CI has the request, the submission is stored as `sending`, among those that the relay searches for."""
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
    """While Redis is away nothing is sent to CI."""
    settings = make_settings(
        "unix:///nowhere/at/all", ci_endpoint=ci.url, cos_bucket=ci.bucket, public_url="http://127.0.0.1:9"
    )
    with pytest.raises(Unavailable):
        Submitter(Services.open(settings, timeout=1)).submit(REQUEST)
    assert ci.requests() == []


def test_a_broken_request_is_neither_stored_nor_sent(
    submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """The error names every broken rule."""
    wrong = REQUEST.model_copy(update={"output": None, "user_data": "café"})
    with pytest.raises(BadRequest) as raised:
        submitter.submit(wrong)
    assert {each.field for each in raised.value.broken} >= {"output", "user_data"}
    assert ci.requests() == []
    assert services.store.submissions.unanswered() == []


def test_the_caller_gets_an_answer_that_redis_cannot_store(
    submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """CI named the job, then Redis went away: the caller gets the job's id, and the relay will find the submission."""
    broken = Services.open(services.settings, timeout=5)

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


def test_a_late_lost_does_not_overwrite_submitted(services: Services, submitter: Submitter) -> None:
    """And an unknown submission is not created."""
    receipt = submitter.submit(REQUEST)
    assert not services.store.submissions.settle(receipt.submission, "lost", "late")
    kept = services.store.submissions.get(receipt.submission)
    assert kept is not None
    assert kept.status == "submitted"
    assert not services.store.submissions.settle("snone", "failed", "?")
    assert services.store.submissions.get("snone") is None


def test_several_operations_are_several_jobs_of_one_submission(
    submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """One request with one callback URL; CI's own node for another tag is sent as it is."""
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
    """A raw operation and a complete file: Tts has its text in the operation. The callback URL is bound to tag and
    user data."""
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
