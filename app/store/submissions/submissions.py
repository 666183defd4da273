"""Submissions: our own record of what CI was asked for. It exists before CI's answer, and before there is a job."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec import Struct, field

from app.ci.report import Input, Report
from app.core.clock import now_ms, rfc3339, time_of, to_ms
from app.redis.connection import UNAVAILABLE
from app.redis.durable import Durable
from app.redis.scripts import decoded, decoded_all, script, text_map
from app.store.accept.outcomes import Unavailable
from app.store.database import Database
from app.store.jobs import index
from app.store.packing.packing import pack, unpack

SubmissionStatus = Literal["sending", "submitted", "lost", "failed"]
CallbackKind = Literal["own", "foreign", "no", "queue"]
USUAL_CALLBACK: Final = "own"
"""It is not stored."""


class Submission(Struct, frozen=True):
    """``status``: ``sending``; ``submitted`` (CI answered); ``lost`` (CI's answer did not come: its list is searched);
    ``failed`` (CI refused, or was never reached). ``facts``: by what a lost job is recognised. ``ci``: CI's words when
    it refused: ``code``, ``message``, ``request_id``, ``advice``. Times are RFC 3339, except ``token_expires``, when
    its callback URL expires (milliseconds since 1970; ``None`` in earlier releases). ``patience``: the ``deadline`` of
    the request in seconds; without it ``DEADLINE`` applies.
    """

    id: str
    status: SubmissionStatus
    submitted_at: str
    deadline: str
    callback: CallbackKind
    bucket: str
    region: str
    key_id: str | None = None
    job_ids: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    ci: dict[str, str | None] | None = None
    token_expires: int | None = None
    patience: float | None = None

    @property
    def jobs(self) -> int:
        """How many jobs it asks for; CI charges for each."""
        return len(self.facts.get("operations", ())) or 1

    @property
    def came_to_nothing(self) -> bool:
        """CI certainly has no job of it: the same request can be sent again without being charged twice."""
        return self.status == "failed" and (self.ci or {}).get("code") != AMBIGUOUS


AMBIGUOUS = "Ambiguous"
"""The code of a submission that was given up although jobs in CI's list may be its own: a person has to decide."""
ANSWER_PATIENCE_S = 30.0
"""How long CI may take to answer a submission before its list is searched."""
FIRST_LOOK_S = 2.0
"""How soon CI's list is searched if we know that the answer will not come."""


_COUNTED_MS = 2 * 86_400_000


class OverBudget(Exception):
    """With these jobs the day would have more than ``most``; nothing was stored."""

    def __init__(self, most: int, before: int, jobs: int) -> None:
        super().__init__(
            f"SUBMIT_MAX_PER_DAY allows {most} jobs a day (UTC): {before} were sent today, and this asks for {jobs}. "
            "Nothing was sent to CI. Raise SUBMIT_MAX_PER_DAY, or send it tomorrow"
        )

    @property
    def again_in_s(self) -> int:
        """Seconds until the day ends."""
        return 86400 - now_ms() // 1000 % 86400


_SHORT = 64
"""Bytes up to which a value leaves a hash small: a longer request has a key of its own."""


def request_of(facts: dict[str, Any]) -> dict[str, Any]:
    """The part of a request that is rarely read, as it is stored. Earlier releases stored its labels there too."""
    return {"facts": facts}


def labels_of(labels_json: str | None, request: dict[str, Any]) -> dict[str, str]:
    """The labels of a submission, from its own field or, as earlier releases stored them, from its request."""
    found: dict[str, str] = json.loads(labels_json) if labels_json else request.get("labels", {})
    return found


def new_submission_id() -> str:
    """Short, unguessable, and safe in a URL."""
    return "s" + secrets.token_hex(8)


class Submissions:
    """The submissions in the store."""

    def __init__(self, db: Database, durable: Durable) -> None:
        self._db = db
        self._durable = durable
        self._redis = db.client
        self._create, self._take, self._due_in = (
            script(db.client, name) for name in ("create", "take", "due_in")
        )
        self._unanswered = script(db.client, "record", "event", "unanswered")

    def create(self, submission: Submission, most_a_day: int | None = None) -> None:
        """Store it before it is sent, at the strongest durability that this Redis offers. From here on it is answered,
        or failed, or searched for. Raises ``Unavailable``, or ``OverBudget`` if the day (UTC) would have more jobs than
        ``most_a_day``; then it must not be sent."""
        now, stored_as = now_ms(), _stored(submission)
        request = pack(_json(request_of(submission.facts)).encode())
        if len(request) <= _SHORT:
            stored_as["request"], request = request, b""
        fields = [word for pair in stored_as.items() for word in pair]
        arguments: list[Any] = [self._db.prefix, submission.id, now, int(ANSWER_PATIENCE_S * 1000)]
        arguments += ["1" if submission.key_id else "", request, rfc3339(now)[:10]]
        arguments += [submission.jobs, "" if most_a_day is None else most_a_day, _COUNTED_MS, *fields]
        try:
            kept = self._durable.strongest(self._create, arguments)
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error
        verdict, *before = decoded_all(kept.answer)
        if verdict == "over":
            raise OverBudget(most_a_day or 0, int(before[0]), submission.jobs)
        if not kept.safe:
            raise Unavailable(
                "Redis did not confirm in time that the submission is as durable as DURABILITY promises"
            )

    def get(self, submission_id: str) -> Submission | None:
        pipe = self._redis.pipeline()
        pipe.hgetall(self._db.key("submission", submission_id))
        pipe.get(self._db.key("request", submission_id))
        row, packed = pipe.execute()
        if not row:
            return None
        packed = row.pop(b"request", packed)
        kept, request = text_map(row), json.loads(unpack(packed)) if packed else request_of({})
        return Submission(
            id=submission_id,
            status=kept["status"],  # type: ignore[arg-type]
            submitted_at=time_of(kept["submitted_at"]) or "",
            deadline=time_of(kept["deadline"]) or "",
            callback=kept.get("callback", USUAL_CALLBACK),  # type: ignore[arg-type]
            bucket=kept.get("bucket") or request["facts"]["bucket"],
            region=kept.get("region") or request["facts"]["region"],
            key_id=kept["key_id"] or None,
            job_ids=tuple(kept.get("job_ids", "").split()),
            labels=labels_of(kept.get("labels_json"), request),
            facts=request["facts"],
            error=kept.get("error"),
            ci=json.loads(kept.get("ci") or "null"),
            token_expires=int(kept["token_expires"]) if "token_expires" in kept else None,
            patience=int(kept["patience"]) / 1000 if "patience" in kept else None,
        )

    def settle(
        self,
        submission_id: str,
        status: SubmissionStatus,
        error: str,
        ci: dict[str, str | None] | None = None,
        look_again_s: float = FIRST_LOOK_S,
    ) -> bool:
        """CI refused it (``failed``), or the answer was lost (``lost``): CI's list is searched in ``look_again_s``
        seconds. False if it has been answered, or does not exist."""
        keys = [self._db.key(*each) for each in (("submission", submission_id), ("lost",), ("open",))]
        found = self.get(submission_id) if status == "failed" else None
        unpaid = found.jobs if found and (ci or {}).get("code") != AMBIGUOUS else 0
        keys.append(self._db.key("claims", submission_id))
        keys.append(self._db.key("spent", (found.submitted_at if found else rfc3339(0))[:10]))
        answer, pause = json.dumps(ci) if ci else "", int(look_again_s * 1000)
        arguments: list[Any] = [submission_id, status, error, answer, pause, unpaid]
        if status == "failed":
            arguments += [
                self._db.prefix,
                rfc3339(now_ms()),
                *self._announced(submission_id, found, error, ci),
            ]
        return bool(self._unanswered(keys=keys, args=arguments))

    def sent_today(self) -> int:
        """Jobs that were sent to CI since 00:00 UTC, without those that CI refused."""
        return int(decoded(self._redis.get(self._db.key("spent", rfc3339(now_ms())[:10]))) or 0)

    def _announced(
        self,
        submission_id: str,
        submission: Submission | None,
        error: str,
        ci: dict[str, str | None] | None,
    ) -> list[str]:
        """The event of a failed submission: prefix, time, its tag, the request in the form of a report, details and
        labels."""
        facts = submission.facts if submission else {}
        first = (facts.get("operations") or [{}])[0]
        asked_for = Report(
            job_id="",
            tag=first.get("tag"),
            queue_id=facts.get("queue_id"),
            input=Input(
                bucket=facts.get("bucket"),
                region=facts.get("region"),
                object=facts.get("input_object"),
                url=facts.get("input_url"),
            ),
            user_data=first.get("user_data"),
        )
        details = {
            "submission": submission_id,
            "error": error,
            "ci": ci,
            "labels": submission.labels if submission else {},
        }
        labels = json.dumps(submission.labels if submission else {}, ensure_ascii=False)
        known = asked_for.to_json().decode()
        return [asked_for.tag or "", known, json.dumps(details, ensure_ascii=False), labels]

    def unanswered(self) -> list[str]:
        """Submissions that are being sent or searched for: at most a hundred, by when they are due."""
        return decoded_all(self._redis.zrange(self._db.key("lost"), 0, 99))

    def take_unanswered(self, count: int, put_off_s: float) -> list[str]:
        """Submissions without an answer that are due to be searched for; each is taken by one caller only."""
        return decoded_all(self._take(keys=[self._db.key("lost")], args=[count, int(put_off_s * 1000)]))

    def look_again(self, submission_id: str, in_s: float) -> None:
        self._due_in(keys=[self._db.key("lost")], args=[submission_id, int(in_s * 1000), "XX"])

    def found(self, submission_id: str) -> None:
        """Stop searching for it."""
        self._redis.zrem(self._db.key("lost"), submission_id)

    def claims(self, submission_id: str) -> list[str]:
        """Jobs that callbacks with its token have named before CI named any."""
        return sorted(decoded_all(self._redis.smembers(self._db.key("claims", submission_id))))

    def owner(self, job_id: str) -> str | None:
        """The submission that a job belongs to."""
        return decoded(self._redis.hget(self._db.key("job", job_id), "submission"))

    def open_keys(self) -> dict[str, int]:
        """The ids of the keys that signed the tokens of submissions with unended jobs, and how many submissions each
        signed. Expired tokens do not count: they need no key."""
        ids = decoded_all(self._redis.zrange(self._db.key("open"), 0, -1))
        pipe = self._redis.pipeline(transaction=False)
        for each in ids:
            pipe.hmget(self._db.key("submission", each), "key_id", "token_expires")
        now, rows = now_ms(), pipe.execute() if ids else []
        return dict(Counter(key_id.decode() for key_id, ends in rows if key_id and int(ends or now) >= now))

    def page(self, before_ms: float, count: int) -> list[tuple[str, float]]:
        """Up to ``count`` submissions made before that time (ms), each with its time, newest first."""
        rows: Any = self._redis.zrange(
            self._db.key("submissions"), f"({before_ms}", "-inf", desc=True, byscore=True, withscores=True,
            offset=0, num=count,
        )  # fmt: skip
        return [(member.decode(), score) for member, score in rows]

    def without_record(self, submission_ids: Sequence[str]) -> list[str]:
        """The submissions among these that CI has answered and that have a job whose record is lost."""
        pipe = self._redis.pipeline(transaction=False)
        for each in submission_ids:
            pipe.hmget(self._db.key("submission", each), "job_ids", "dropped")
        answered = dict(zip(submission_ids, pipe.execute() if submission_ids else (), strict=True))
        pairs = [(each, job_id) for each, row in answered.items() for job_id in _staying(*map(decoded, row))]
        for _, job_id in pairs:
            pipe.hexists(self._db.key("job", job_id), "version")
        kept = pipe.execute() if pairs else []
        return list(
            dict.fromkeys(each for (each, _), is_kept in zip(pairs, kept, strict=True) if not is_kept)
        )


def _stored(submission: Submission) -> dict[str, Any]:
    """The fields of its hash, kept short: without what the packed request has too and what is usual, and with times as
    numbers."""
    values: dict[str, Any] = {
        "status": submission.status,
        "submitted_at": submission.submitted_at,
        "deadline": submission.deadline,
        "key_id": submission.key_id or "",
    }
    if submission.callback != USUAL_CALLBACK:
        values["callback"] = submission.callback
    for name in ("bucket", "region"):
        if submission.facts.get(name) != (value := getattr(submission, name)):
            values[name] = value
    if submission.labels:
        # Scripts cannot unpack the request.
        values["labels_json"] = _json(submission.labels)
        values["places"] = index.label_places(submission.labels)
    if submission.patience is not None:
        values["patience"] = str(int(submission.patience * 1000))
    values["deadline"] = _number_of(submission.deadline)
    if submission.token_expires:
        values["token_expires"] = str(submission.token_expires)
        # Without token_expires, drop.lua compares submitted_at as text.
        values["submitted_at"] = _number_of(submission.submitted_at)
    return values


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _number_of(stamp: str) -> str:
    at = to_ms(stamp)
    return str(at) if at is not None and rfc3339(at) == stamp else stamp


def _staying(job_ids: str | None, dropped: str | None) -> list[str]:
    """The jobs of a submission without those that retention or a person has removed."""
    return [each for each in (job_ids or "").split() if each not in (dropped or "").split()]


def deadline_after(seconds: float, since_ms: int | None = None) -> str:
    return rfc3339((now_ms() if since_ms is None else since_ms) + int(seconds * 1000))
