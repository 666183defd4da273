"""Which callback URL a request carries, how long it is valid, and which jobs are polled instead."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.ci.outgoing.request_xml import render
from app.core.tokens import read_token
from app.services import Services
from app.settings import Settings
from app.submitter import SubmitRequest, Submitter
from harness.emulated import Emulated
from tests.submitter.changed import changed
from tests.submitter.conftest import REQUEST


def test_the_callback_url_expires(services: Services) -> None:
    """CALLBACK_LIFE after the request or file was drafted; the record has the same expiry. The token names bucket and
    region, so that CI can be asked without the record."""
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
def test_a_job_whose_callback_goes_elsewhere_is_polled_at_once(
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
