"""The documents of the API, as frozen structs. Members that a later release adds are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field


class Input(Struct, frozen=True, kw_only=True):
    """The file that the job works on."""

    bucket: str | None = None
    region: str | None = None
    object: str | None = None
    url: str | None = None


class Template(Struct, frozen=True, kw_only=True):
    """CI's template that the job was made from."""

    id: str | None = None
    name: str | None = None


class Output(Struct, frozen=True, kw_only=True):
    """One file that the job wrote. ``url`` is presigned, for a key with the scope ``links``."""

    object: str
    role: str | None = None
    bucket: str | None = None
    region: str | None = None
    md5: str | None = None
    size: int | None = None
    etag: str | None = None
    url: str | None = None


class Media(Struct, frozen=True, kw_only=True):
    """CI's measurements of the output file."""

    format: str | None = None
    duration_s: float | None = None
    size: int | None = None
    bitrate: int | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    video_codec: str | None = None
    audio_codec: str | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """The result of a review. ``suggestion`` is CI's: 0 normal, 1 block, 2 review by a person."""

    label: str | None = None
    suggestion: int | None = None
    score: int | None = None


class Result(Struct, frozen=True, kw_only=True):
    """The result of the job: ``kind`` names CI's node, ``data`` is its content."""

    kind: str
    data: Any = None
    verdict: Verdict | None = None


class Workflow(Struct, frozen=True, kw_only=True):
    """The workflow run that the job is part of."""

    run_id: str | None = None
    id: str | None = None
    name: str | None = None
    node: str | None = None


class Reported(Struct, frozen=True, kw_only=True):
    """The doubted report."""

    state: str | None = None
    code: str | None = None
    ended_at: str | None = None


class Doubt(Struct, frozen=True, kw_only=True):
    """Two sources contradict each other; CI is asked."""

    reason: str
    since: str
    reported: Reported
    asked_at: str | None = None


class Submitted(Struct, frozen=True, kw_only=True):
    """The submission that a job came from."""

    id: str
    submitted_at: str | None = None
    callback: str | None = None
    deadline: str | None = None
    overdue: bool = False


class Job(Struct, frozen=True, kw_only=True):
    """The normalized job. Times are RFC 3339 in UTC; what CI did not report is None."""

    job_id: str
    tag: str | None = None
    state: str | None = None
    terminal: bool = False
    progress: int | None = None
    code: str | None = None
    message: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    queue_id: str | None = None
    queue_type: str | None = None
    input: Input | None = None
    template: Template | None = None
    outputs: tuple[Output, ...] = ()
    outputs_count: int = 0
    outputs_ok: bool | None = None
    outputs_unchecked: str | None = None
    media: Media | None = None
    result: Result | None = None
    labels: dict[str, str] = field(default_factory=dict)
    doubt: Doubt | None = None
    user_data: str | None = None
    job_level: int | None = None
    workflow: Workflow | None = None
    submission: Submitted | None = None
    verification: str | None = None
    source: str | None = None
    version: int = 0
    updated_at: str | None = None
    raw: dict[str, Any] | None = None


class Submission(Struct, frozen=True, kw_only=True):
    """One request to CI. ``lost``: CI's answer was lost, and the service searches for the job."""

    id: str
    status: str
    submitted_at: str
    deadline: str
    callback: str
    bucket: str
    region: str
    job_ids: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    ci_code: str | None = None
    ci_message: str | None = None
    ci_request_id: str | None = None
    ci_advice: str | None = None


class Warned(Struct, frozen=True, kw_only=True):
    """An inferred rule that the request violates; the request was sent anyway."""

    field: str
    rule: str
    word: str | None = None


class Receipt(Struct, frozen=True, kw_only=True):
    """What a submit made: jobs, or, if CI's answer was lost, the submission that the service searches for."""

    jobs: tuple[Job, ...] = ()
    submission: Submission | None = None
    warnings: tuple[Warned, ...] = ()

    @property
    def job(self) -> Job:
        """The only job. Raises ``ValueError`` if there are several, or none yet."""
        if len(self.jobs) != 1:
            raise ValueError(
                f"There are {len(self.jobs)} jobs: use `jobs`, or look the `submission` up later."
            )
        return self.jobs[0]


class Replay(Struct, frozen=True, kw_only=True):
    """The new event, and the one that it repeats."""

    job_id: str
    event_id: str
    replay_of: str


class StreamEvent(Struct, frozen=True, kw_only=True):
    """An event of the stream. ``stream_id`` resumes the stream after it; ``event_id`` is the same for the same news."""

    stream_id: str
    event_id: str
    kind: str
    job: Job | None = None
    details: dict[str, Any] | None = None
    """Further data of an event about a problem; None for other events."""


class Gap(Struct, frozen=True, kw_only=True):
    """Events after ``after`` are gone; the stream goes on after ``resumed``. Look up the jobs that you need."""

    after: str
    resumed: str


class Delivery(Struct, frozen=True, kw_only=True):
    """A verified delivery. Use ``event_id`` as the idempotency key: each try of an event has the same."""

    event_id: str
    kind: str
    job: Job | None = None
    replay_of: str | None = None
    details: dict[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    """The event's data as it came, with members that this release does not know."""


State = Literal["Submitted", "Running", "Pause", "Success", "Failed", "Cancel"]
