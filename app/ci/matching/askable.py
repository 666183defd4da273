"""What CI's job interface can be asked about: jobs. Workflow runs and reviews are jobs to us only."""

from app.ci.incoming.reports import REVIEW_EVENTS
from app.ci.report import Report

_RUN = (
    "This is a workflow run, and CI can be asked about jobs only: CI's callback reports its end. Refresh the "
    "jobs of its tasks, which `raw` names, or look the run up in the CI console."
)
_REVIEW = (
    "This is a review, and CI can be asked about media jobs only: CI's callback reported its result, which is in "
    "`raw`. Look it up in CI's moderation console."
)
_COMMA = "The id contains a comma, which CI uses to separate ids: CI has no job with that id."


def reason_not_a_ci_job(report: Report) -> str | None:
    """Why CI cannot be asked about it, and what to do instead; ``None`` where it can."""
    if report.workflow and report.workflow.run_id == report.job_id:
        return _RUN
    if report.tag and report.tag.startswith(REVIEW_EVENTS):
        return _REVIEW
    return _COMMA if "," in report.job_id else None
