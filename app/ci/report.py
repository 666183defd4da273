"""What CI said about one job at one time, in one shape whatever it came in."""

from hashlib import blake2b
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

TERMINAL: Final = frozenset({"Success", "Failed", "Cancel"})
"""CI's own words for a job that will not change any more."""

_RANK: Final = {"Submitted": 1, "Running": 2, "Pause": 2, **dict.fromkeys(TERMINAL, 3)}

STATES: Final = frozenset(_RANK)
"""All of CI's words for how a job is."""


def rank(state: str | None) -> int:
    """How far along a job is: 0 unknown, 1 submitted, 2 running or paused, 3 terminal. Lower is older."""
    return _RANK.get(state, 0) if state else 0


_OURS: Final[Any] = {"outputs_ok": True, "outputs": {"__all__": {"size", "etag", "url"}}}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Input(_Part):
    """The file that the job works on, in a bucket or at a URL. ``object`` has no leading slash."""

    bucket: str | None = None
    region: str | None = None
    object: str | None = None
    url: str | None = None


class Template(_Part):
    """The template that the job was made from, by CI's id and the name its owner gave it."""

    id: str | None = None
    name: str | None = None


class Output(_Part):
    """One file that CI reports to have written. ``size``, ``etag`` and ``url`` are found out by us, later."""

    role: str | None = None
    bucket: str | None = None
    region: str | None = None
    object: str
    md5: str | None = None
    size: int | None = None
    etag: str | None = None
    url: str | None = None


class Workflow(_Part):
    """The workflow run that a job is part of, or, with ``node`` None, that the record itself is about."""

    run_id: str | None = None
    id: str | None = None
    name: str | None = None
    node: str | None = None


class Report(_Part):
    """One job as one body described it. Times are RFC 3339 in UTC; what CI did not say is None.

    A part (``input``, ``template``, ``workflow``) whose every field is absent is None itself.
    """

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
    outputs_ok: bool | None = None
    user_data: str | None = None
    job_level: int | None = None
    workflow: Workflow | None = None

    @property
    def digest(self) -> str:
        """128 bits of hash of what CI said, in hex: the same news has the same digest whichever way it came.

        What we add ourselves (``size``, ``etag``, ``url`` of an output, ``outputs_ok``) is left out.
        """
        return blake2b(self.model_dump_json(exclude=_OURS).encode(), digest_size=16).hexdigest()
