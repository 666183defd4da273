"""Jobs, stored as callbacks and answers of CI would."""

from __future__ import annotations

from app.ci.incoming.payload import parse
from app.ci.report import Report
from app.store import News, Store
from app.store.accept.news import as_body
from tests.ci import samples
from tests.receiver.callbacks import body_of


def put(store: Store, job_id: str, **changes: object) -> None:
    """A job that a callback reported."""
    content = body_of(samples.voice_separate(JobId=job_id, **changes))
    store.acceptor.accept(
        News(
            parse(content).details, "callback", "token", body=content, note={"verified": ["token", "binding"]}
        )
    )


def confirm(store: Store, job_id: str, **changes: object) -> None:
    """CI's own answer confirms the report."""
    details = parse(body_of(samples.voice_separate(JobId=job_id, **changes))).details
    store.acceptor.accept(News(details, "poll", "confirmed", body=as_body(details)))


def miss(store: Store, job_id: str) -> None:
    """A check finds none of the outputs in COS."""
    job = store.jobs.get(job_id)
    assert job is not None
    report = Report.from_dict(job.model_dump())
    assert store.checks.note(report, {}, ok=False)
