"""Our own record of what CI was asked for. It exists before CI's answer, and before there is a job."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

from app.store.accept import Unavailable
from app.store.clock import now_ms, rfc3339, to_ms
from app.store.connection import UNAVAILABLE, Database
from app.store.durable import Durable
from app.store.scripts import text_map, texts

Status = Literal["sending", "submitted", "lost", "failed"]
CallbackKind = Literal["own", "foreign", "no", "queue"]


@dataclass(frozen=True, slots=True)
class Submission:
    """``status``: ``sending``; ``submitted`` (CI answered); ``lost`` (CI's answer never came: it is being looked for);
    ``failed`` (CI refused, or was never reached). ``facts`` is what a lost job is recognised by. Times are RFC 3339."""

    id: str
    status: Status
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


def new_id() -> str:
    """Short, unguessable, and safe in a URL."""
    return "s" + secrets.token_hex(8)


class Submissions:
    """The submissions in the store."""

    def __init__(self, db: Database, durable: Durable) -> None:
        self._db = db
        self._durable = durable
        self._redis = db.client

    def create(self, submission: Submission) -> None:
        """Keep it before it is sent, as safely as this Redis can. From here on it is either answered, failed, or
        looked for: never forgotten. Raises ``Unavailable``; then it must not be sent."""
        values = {
            "status": submission.status,
            "submitted_at": submission.submitted_at,
            "deadline": submission.deadline,
            "callback": submission.callback,
            "bucket": submission.bucket,
            "region": submission.region,
            "key_id": submission.key_id or "",
            "labels": json.dumps(submission.labels),
            "facts": json.dumps(submission.facts),
        }
        fields = [word for pair in values.items() for word in pair]
        sent = to_ms(submission.submitted_at) or now_ms()
        commands = [
            ["HSET", self._db.key("submission", submission.id), *fields],
            ["ZADD", self._db.key("submissions"), str(now_ms()), submission.id],
            ["ZADD", self._db.key("lost"), str(sent), submission.id],
        ]
        try:
            safe = self._durable.write(commands)
        except UNAVAILABLE as error:
            raise Unavailable(str(error)) from error
        if not safe:
            raise Unavailable("the submission is not as safe as DURABILITY promises")

    def get(self, submission_id: str) -> Submission | None:
        row = self._redis.hgetall(self._db.key("submission", submission_id))
        if not row:
            return None
        kept = text_map(row)
        return Submission(
            id=submission_id,
            status=kept["status"],  # type: ignore[arg-type]
            submitted_at=kept["submitted_at"],
            deadline=kept["deadline"],
            callback=kept["callback"],  # type: ignore[arg-type]
            bucket=kept["bucket"],
            region=kept["region"],
            key_id=kept["key_id"] or None,
            job_ids=tuple(kept.get("job_ids", "").split()),
            labels=json.loads(kept["labels"]),
            facts=json.loads(kept["facts"]),
            error=kept.get("error"),
        )

    def settle(self, submission_id: str, status: Status, error: str) -> None:
        """CI did not take it (``failed``), or we cannot know (``lost``)."""
        pipe = self._redis.pipeline()
        pipe.hset(self._db.key("submission", submission_id), mapping={"status": status, "error": error})
        if status == "failed":
            pipe.zrem(self._db.key("lost"), submission_id)
        pipe.execute()

    def unanswered(self, older_than_s: float) -> list[str]:
        """Submissions whose answer is still missing after that many seconds."""
        rows = self._redis.zrange(
            self._db.key("lost"), 0, now_ms() - int(older_than_s * 1000), byscore=True, offset=0, num=100
        )
        return texts(rows)


def deadline_after(seconds: float) -> str:
    return rfc3339(now_ms() + int(seconds * 1000))
