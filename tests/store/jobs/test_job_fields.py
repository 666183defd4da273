"""A job has every field of a report: what CI reported is never lost on the way out."""

from typing import get_type_hints

from app.ci.report import Report
from app.store import Job


def test_a_job_has_every_field_of_a_report_in_its_order() -> None:
    """The same name, type and default."""
    hints = get_type_hints(Report)
    assert list(Job.model_fields)[: len(hints)] == list(hints)
    assert {name: Job.model_fields[name].annotation for name in hints} == hints
