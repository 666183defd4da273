"""What is sent again and what is not, after a refusal, a lost answer, SlowDown or a broken connection."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.provider import AnswerLost, ProviderError, ServerError
from app.services import Services
from app.store.submissions.submissions import AMBIGUOUS
from app.submitter import NotSent, RequestRejected, Submitter, Throttled
from app.submitter.send import may_be_sent_again
from harness.emulated import Emulated
from harness.servers import free_port
from tests.submitter.changed import changed
from tests.submitter.conftest import REQUEST

COMMON = {
    "MediaBucketUnBinded": (403, "Bind the bucket"),
    "CIRoleNotExist": (400, "CI_QCSRole"),
    "SignatureExpired": (401, "clock"),
    "QueueSaturated": (403, "queue is full"),
    "AccessDenied": (403, "ci:CreateMediaJobs"),
}


@pytest.mark.parametrize("code", COMMON)
def test_a_refusal_by_ci_is_sent_once_and_reported(
    code: str, submitter: Submitter, services: Services, ci: Emulated
) -> None:
    """The error and the submission have CI's code, message, request id and advice."""
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
    """CI may have the job: the submission is `lost`, and the relay searches for it."""
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
    """SlowDown means that CI has not accepted the request: the same submission is sent again after a pause."""
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
def test_only_what_ci_has_certainly_not_accepted_is_sent_again(error: ProviderError, again: bool) -> None:
    """And only if a retry may help: a wrong name or certificate stays wrong."""
    assert may_be_sent_again(error) == again


def test_patience_with_slow_down_has_an_end(services: Services, ci: Emulated) -> None:
    """The caller gets CI's SlowDown, and the submission is failed."""
    ci.fault("error", on="submit", code="SlowDown", status=429)
    with pytest.raises(Throttled) as raised:
        Submitter(services, patience=2).submit(REQUEST)
    kept = services.store.submissions.get(raised.value.submission or "")
    assert kept is not None
    assert kept.status == "failed"
    assert set(ci.statuses()) == {429}


def test_a_refused_connection_is_tried_again(services: Services, ci: Emulated) -> None:
    """No server listens: after some retries the submission is failed."""
    away = changed(services, ci_endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSent) as raised:
        Submitter(away, patience=2).submit(REQUEST)
    assert raised.value.code == "ConnectionRefused"
    kept = services.store.submissions.get(raised.value.submission or "")
    assert kept is not None
    assert kept.status == "failed"


def test_what_may_be_sent_again(submitter: Submitter, services: Services, ci: Emulated) -> None:
    """A refused submission made no job. One whose search was ambiguous may have made one."""
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
