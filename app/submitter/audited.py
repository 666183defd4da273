"""Sending a person's submission, with an entry in the audit list."""

from __future__ import annotations

from app.store.audit.audit_list import SUBMIT
from app.submitter.draft import Draft
from app.submitter.send import Receipt, Submitter
from app.web.acts import acting


def send_audited(submitter: Submitter, draft: Draft) -> Receipt:
    """As ``Submitter.send``, with an entry in the audit list."""
    with acting(SUBMIT, submission=draft.submission, input_object=draft.asked.input_object) as done:
        receipt = submitter.send(draft)
        done.job_ids += receipt.job_ids
        done.did(jobs=len(receipt.job_ids), status=receipt.record.status)
        return receipt
