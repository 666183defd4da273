"""A job's record, made of its stored fields."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, cast

import msgspec
from msgspec import Struct, ValidationError, convert, to_builtins
from msgspec.structs import replace

from app.ci.matching.asked import Asked
from app.ci.matching.bound import are_in, were_asked_for
from app.ci.report import Detail, Report
from app.core.clock import now_ms, time_of, to_ms
from app.redis.scripts import decoded
from app.store.events.event import Event
from app.store.outputs.checks import LOOKED_UP, merged
from app.store.packing.packing import unpack
from app.store.reading.job import Job, ReadRaw, Submitted, no_raw
from app.store.reading.stored import OF_JOB, OF_SUBMISSION, Stored
from app.store.submissions.submissions import USUAL_CALLBACK, Submission, labels_of


class Known(Struct, frozen=True):
    """What the store holds of one job: its packed report, or in its place the report of an event (``reported``); its
    other fields; its submission's fields and request (``facts`` and ``labels``). ``raw`` reads the JSON view of the
    payload: a function, because that takes longer than all the rest."""

    packed: bytes | None
    fields: dict[str, str | None]
    submission: dict[str, str | None]
    request: dict[str, Any]
    late: bool
    raw: ReadRaw = no_raw
    reported: dict[str, Any] | None = None

    @property
    def report(self) -> dict[str, Any]:
        """The report; empty for an unknown job."""
        if self.reported is not None:
            return self.reported
        return cast(dict[str, Any], msgspec.json.decode(unpack(self.packed))) if self.packed else {}

    @classmethod
    def of(cls, stored: Stored) -> Known:
        fields = dict(zip(OF_JOB, map(decoded, stored.fields), strict=True))
        submission = dict(zip(OF_SUBMISSION, map(decoded, stored.submission), strict=False))
        return cls(
            stored.report,
            fields,
            submission,
            json.loads(unpack(stored.request)) if stored.request else {},
            stored.late,
        )

    @classmethod
    def of_submitted(cls, detail: Detail, submission: Submission, new_at: str) -> Known:
        """For a job that CI named in its answer to ``submission`` and that was new at ``new_at``: all that is stored
        of it follows from these."""
        fields = dict.fromkeys(OF_JOB) | {
            "submission": submission.id,
            "verification": "confirmed",
            "source": "submit",
            "version": "1",
            "updated": new_at,
        }
        asked: dict[str, str | None] = {
            "submitted_at": submission.submitted_at,
            "callback": submission.callback,
            "deadline": submission.deadline,
        }
        request = {"labels": submission.labels, "facts": submission.facts}
        late = (to_ms(submission.deadline) or now_ms()) < now_ms()
        reported: dict[str, Any] = to_builtins(detail.report)
        return cls(None, fields, asked, request, late, lambda: detail.raw, reported)

    def at(self, event: Event) -> Known:
        """The job as it was at the event; source, verification and submission are those of now."""
        then: dict[str, str | None] = {"version": str(event.version), "updated": event.at}
        if event.kind != "check":
            then["check"] = None
        if event.kind == "poll":
            then["source"] = "poll"
        elif self.fields["source"] == "poll" and not self._has_now(event.report):
            # CI's answer confirms the job as it is now, not an earlier report by a callback.
            then["source"] = "callback"
        return replace(self, reported=event.report, fields=self.fields | then)

    def _has_now(self, report: dict[str, Any]) -> bool:
        """Whether that is the report of the job now."""
        return Report.from_dict(report).digest == self.fields["digest"]


class Records:
    """Makes records; ``trusted`` are buckets whose objects need no confirmation by CI."""

    def __init__(self, trusted: frozenset[str]) -> None:
        self._trusted = trusted
        self.edition = _edition(trusted)
        """A hash of what a record depends on beside the store: its model, and a setting. Part of each ETag."""

    def record(self, known: Known, *, raw: bool = True) -> Job:
        """The normalized job. Without ``raw`` the payload is not read."""
        reported, fields = known.report, known.fields
        unconfirmed = self._unconfirmed(reported, known)
        report = reported if unconfirmed else merged(reported, fields["check"])
        outputs = report["outputs"]
        is_partly = not unconfirmed and len(outputs) > LOOKED_UP and report["state"] == "Success"
        return Job.model_validate(
            report
            | {
                "labels": labels_of(known.submission.get("labels_json"), known.request),
                "doubt": json.loads(fields["doubt"]) if fields["doubt"] else None,
                "outputs_count": len(outputs),
                "outputs_unchecked": unconfirmed or ("too_many" if is_partly else None),
                "submission": _submitted(fields, known.submission, known.late and not report["terminal"]),
                "verification": fields["verification"],
                "source": fields["source"],
                "version": int(fields["version"] or 0),
                "updated_at": time_of(fields["updated"]),
                "raw": known.raw() if raw else None,
            }
        )

    def _unconfirmed(self, reported: dict[str, Any], known: Known) -> str | None:
        """Why the outputs may not be looked up or linked; ``None`` if CI named them, the submission asked for them, or
        the bucket is trusted."""
        if not reported["outputs"] or known.fields["source"] == "poll":
            return None
        report = Report.from_dict(reported)
        if are_in(report.outputs, self._trusted):
            return None
        if (asked := _asked(known.request.get("facts"))) and were_asked_for(report, asked):
            return None
        return known.fields["outputs_unasked"] or "not_confirmed"


def _asked(facts: dict[str, Any] | None) -> Asked | None:
    try:
        return convert(facts, Asked) if facts else None
    except ValidationError:
        return None  # An early release stored the submission without its request.


def _submitted(
    fields: dict[str, str | None], submission: dict[str, str | None], overdue: bool
) -> Submitted | None:
    if not fields["submission"]:
        return None
    return Submitted(
        id=fields["submission"],
        submitted_at=time_of(submission.get("submitted_at")),
        callback=submission.get("callback") or (USUAL_CALLBACK if submission.get("submitted_at") else None),
        deadline=time_of(fields["deadline"] or submission.get("deadline")),
        overdue=overdue,
    )


def _edition(trusted: frozenset[str]) -> str:
    text = json.dumps([list(Job.model_fields), sorted(trusted)])
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


UNKNOWN: Final = Known(None, dict.fromkeys(OF_JOB), {}, {}, False)
