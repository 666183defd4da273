"""What CI's job interface can be asked about: jobs. Workflow runs and reviews are jobs to us only."""

from app.ci.incoming.reports import REVIEW_EVENTS
from app.ci.report import Report

_RUN = (
    "This is a run of a workflow, and CI is asked about jobs only: its end is told by CI's callback. Refresh the "
    "jobs of its tasks, which `raw` names, or look the run up in the CI console."
)
_REVIEW = (
    "This is a review, and CI is asked about media jobs only: its result is what CI's callback said, and stands in "
    "`raw`. Look it up in CI's moderation console."
)
_COMMA = "The id holds a comma, with which CI separates ids: CI has no job of that id."


def why_not(report: Report) -> str | None:
    """Why CI cannot be asked about it, and what to do instead; ``None`` where it can."""
    if report.workflow and report.workflow.run_id == report.job_id:
        return _RUN
    if report.tag and report.tag.startswith(REVIEW_EVENTS):
        return _REVIEW
    return _COMMA if "," in report.job_id else None
