"""The jobs in the store: one, some, a page, and the history of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from app.ci.report import STATES, Detail
from app.redis.scripts import decoded
from app.store.access.api_keys import ApiKey
from app.store.database import Database
from app.store.events.event import Event
from app.store.jobs import index
from app.store.jobs.entries import read_entry
from app.store.members import job_of
from app.store.packing.packing import unpack
from app.store.reading.job import Job, ReadRaw
from app.store.reading.listing import Filter, Listing, Page
from app.store.reading.record import UNKNOWN, Known, Records
from app.store.reading.shown import Kept, Shown, shown
from app.store.reading.stored import Stored, StoredJobs
from app.store.submissions.submissions import Submission

BodyView = Callable[[bytes, int], dict[str, Any]]
"""Makes the JSON view of the JobsDetail at that position of a body."""


class Jobs:
    """The jobs in the store."""

    def __init__(
        self, db: Database, trusted: frozenset[str] = frozenset(), view: BodyView | None = None
    ) -> None:
        """``trusted``: buckets whose objects need no confirmation by CI. Without ``view`` jobs have no ``raw``."""
        self._db = db
        self._view = view
        self._redis = db.client
        self._records = Records(trusted)
        self._stored = StoredJobs(db)
        self._listing = Listing(db, self._stored, self._records)
        self._kept = Kept[str, tuple[Any, ...], Shown]()

    def exists(self, job_id: str) -> bool:
        return bool(self._redis.exists(self._db.key("job", job_id)))

    def digest(self, job_id: str) -> tuple[str | None, bool]:
        """The digest of its report (``None`` for an unknown job), and whether the job has ended."""
        version, digest, rank = map(
            decoded, self._redis.hmget(self._db.key("job", job_id), "version", "digest", "rank")
        )
        return (digest or "") if version else None, rank == "3"

    def get(self, job_id: str, *, raw: bool = True) -> Job | None:
        """The job, with its raw payload if ``raw``; ``None`` if it is not known."""
        known = self.known([job_id], raw=raw)[job_id]
        return self._records.record(known) if known.packed else None

    def submitted(self, details: Sequence[Detail], submission: Submission, new_at: str) -> list[Job]:
        """The jobs that CI named in its answer to ``submission``, as ``get`` reads them, without a round trip.

        Only for jobs that were new (``Acceptor.take``) at ``new_at``."""
        return [self._records.record(Known.of_submitted(each, submission, new_at)) for each in details]

    def some(self, job_ids: Sequence[str]) -> list[Job | None]:
        """These jobs, without their raw payloads; ``None`` for one that is not known."""
        stored = self._stored.of(job_ids)
        return [self._records.record(Known.of(each)) if each else None for each in stored]

    def known(self, job_ids: Iterable[str], *, raw: bool = True) -> dict[str, Known]:
        """What is stored of these jobs, in few round trips, for ``at``."""
        ids = list(dict.fromkeys(job_ids))
        found = [Known.of(stored) if stored else UNKNOWN for stored in self._stored.of(ids)]
        return dict(zip(ids, self._with_raws(found) if raw else found, strict=True))

    def at(self, event: Event, known: Known, *, raw: bool = True) -> Job:
        """The job as it was at the event; source, verification and submission are those of now."""
        return self._records.record(known.at(event), raw=raw)

    def of_event(self, event: Event) -> Job | None:
        """As ``lean``; ``None`` for the event of a submission without a job."""
        return self.lean(event) if event.job_id else None

    def lean(self, event: Event) -> Job:
        """The job as it was at the event, without its raw payload."""
        return self.at(event, self.known([event.job_id], raw=False)[event.job_id])

    def count(self) -> int:
        """How many there are: what ``JOBS_MAX`` bounds."""
        return int(self._redis.zcard(self._db.key("jobs")))

    def newest(self) -> str | None:
        """The id of the newest job."""
        rows: Any = self._redis.zrange(self._db.key("jobs"), 0, 0, desc=True)
        return job_of(rows[0]) if rows else None

    def page(self, wanted: Filter, limit: int, cursor: str | None = None) -> Page:
        """As ``Listing.page``."""
        return self._listing.page(wanted, limit, cursor)

    def page_json(
        self, wanted: Filter, limit: int, cursor: str | None = None, digest: str = ""
    ) -> tuple[ApiKey | None, bytes]:
        """As ``Listing.page_json``."""
        return self._listing.page_json(wanted, limit, cursor, digest)

    def every(self, wanted: Filter) -> Iterator[Job]:
        """As ``Listing.every``."""
        return self._listing.every(wanted)

    def matching(self, wanted: Filter) -> int:
        """As ``Listing.matching``."""
        return self._listing.matching(wanted)

    def why_no_state(self, state: str | None) -> str | None:
        """Why jobs cannot be listed by that state; ``None`` for CI's six states, and for one that a job has."""
        if (
            state is None
            or state in STATES
            or self._redis.exists(self._db.key("index", index.name("state", state)))
        ):
            return None
        meant = next((f"Do you mean {each}? " for each in STATES if each.lower() == state.lower()), "")
        return f"No job has the state {state[:40]!r}. {meant}Known are: {', '.join(sorted(STATES))}"

    def stored(self, job_id: str) -> Stored | None:
        """The stored fields of the job, in one round trip; ``None`` if it is not known."""
        return self._stored.of([job_id])[0]

    def stored_for(self, digest: str, job_id: str) -> tuple[ApiKey | None, Stored | None]:
        """As ``StoredJobs.for_holder``."""
        return self._stored.for_holder(digest, job_id)

    def shown(self, job_id: str, stored: Stored) -> Shown:
        """The record made of ``stored``, with its raw payload."""
        if (found := self._kept.find(job_id, stored.content)) is None:
            (known,) = self._with_raws([Known.of(stored)])
            found = shown(job := self._records.record(known), stored.created_ms)
            # The body may have expired since then: an answer without it has another ETag.
            if stored.has_body == (job.raw is not None):
                self._kept.put(job_id, stored.content, found, stored.size + len(found.text))
        return found

    def etag(self, stored: Stored) -> str:
        """A tag that changes whenever the record of the job does, computed without making the record."""
        return f"{self._records.edition}{stored.digest}"

    def raw_bytes(self, job_id: str, entry: int) -> bytes | None:
        """The exact bytes that a history entry was made from; ``None`` once they have expired."""
        kept = next((each for each in self.history(job_id)[0] if each["entry"] == entry), {})
        body = self._redis.get(self._body_key(kept.get("body")))
        return unpack(body) if isinstance(body, bytes) else None

    def history(self, job_id: str) -> tuple[list[dict[str, Any]], int]:
        """The kept entries, oldest first, and how many there were in all."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.lrange(self._db.key("record", job_id), 1, -1)
        pipe.hget(self._db.key("job", job_id), "entries")
        lines, count = pipe.execute()
        return [read_entry(line) for line in lines], int(count or 0)

    def _with_raws(self, found: list[Known]) -> list[Known]:
        if not self._view:
            return found
        return [replace(each, raw=raw) for each, raw in zip(found, self._raws(found), strict=True)]

    def _raws(self, found: list[Known]) -> list[ReadRaw]:
        keys = [self._body_key(each.fields["raw"]) for each in found]
        bodies: Any = self._redis.mget(keys) if keys else []
        return [
            partial(self._raw, body, each.fields["raw"] or "")
            for body, each in zip(bodies, found, strict=True)
        ]

    def _raw(self, body: bytes | None, raw: str) -> dict[str, Any] | None:
        return self._view(unpack(body), int(raw.partition(":")[2])) if body and self._view else None

    def _body_key(self, raw: str | None) -> str:
        """``raw`` is the name of a body, a colon, and the position of a JobsDetail in it."""
        return self._db.key("body", (raw or "").partition(":")[0])
