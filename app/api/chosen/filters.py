"""The filters of the list of jobs, in a query or in a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from app.api.requests import LABEL_FILTER, Flag, PageQuery, StrictQuery, Time
from app.ci.outgoing.request import Scalar
from app.ci.report import STATES
from app.core.clock import ms_of
from app.store.jobs import index
from app.store.jobs.index import INDEXED_FIELDS
from app.store.reading.listing import Filter
from app.web.problems import Problem
from app.web.services import services

_NAME = r"[a-z0-9_.-]{1,32}"


def described_labels(schema: dict[str, Any]) -> None:
    """One member for each label: a name that begins with ``label.``."""
    del schema["properties"][LABEL_FILTER]
    label_schema = {"type": ["string", "integer"], "description": "Jobs with exactly that label."}
    schema["patternProperties"] = {f"^label\\.{_NAME}$": label_schema}


State = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(STATES)})]
"""One of CI's six states. A state that CI adds is accepted while a job has it, which the document cannot express."""


class JobFilter(StrictQuery):
    """Which jobs; each given filter must match exactly."""

    model_config = ConfigDict(json_schema_extra=described_labels)

    state: State | None = None
    tag: str | None = None
    queue_id: str | None = None
    bucket: str | None = None
    input_object: str | None = None
    user_data: str | None = None
    overdue: Flag | None = None
    created_after: Time | None = None
    created_before: Time | None = None
    labels: dict[Annotated[str, Field(pattern=f"^{_NAME}$")], Scalar] = Field(
        default_factory=dict, alias=LABEL_FILTER
    )

    @model_validator(mode="before")
    @classmethod
    def _with_labels(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        labels = {name.removeprefix(index.LABEL): v for name, v in given.items() if _is_label(name)}
        others = {name: value for name, value in given.items() if not _is_label(name)}
        return others | ({LABEL_FILTER: labels} if labels else {})

    @property
    def is_empty(self) -> bool:
        return not (self.labels or any(getattr(self, name) is not None for name in JOB_FILTERS))

    @property
    def has_known_state(self) -> bool:
        """Whether it can be checked without reading from Redis."""
        return self.state is None or self.state in STATES

    def wanted(self) -> Filter:
        """Raises ``Problem`` for a state that is not one of CI's, and that no job has."""
        if not self.has_known_state and (why := services().store.jobs.why_no_state(self.state)):
            raise Problem("invalid_request", f"{why}.", errors=[{"field": "state", "rule": why}])
        equal = {name: value for name in INDEXED_FIELDS if (value := getattr(self, name)) is not None}
        return Filter(
            equal=tuple((equal | index.label_values(self.labels)).items()),
            overdue=self.overdue,
            created_after=ms_of(self.created_after),
            created_before=ms_of(self.created_before),
        )


class JobsQuery(JobFilter, PageQuery):
    pass


JOB_FILTERS = JobFilter.model_fields.keys() - {"labels"}
FILTER_NAMES = ", ".join((*(name for name in JobFilter.model_fields if name in JOB_FILTERS), LABEL_FILTER))


def _is_label(name: object) -> bool:
    return isinstance(name, str) and name.startswith(index.LABEL)
