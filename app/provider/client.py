"""The calls to CI and COS that we use, in plain values; our own parser reads every answer.

CI's page about submitting: https://www.tencentcloud.com/document/product/1045/73370
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from msgspec import Struct

from app.ci.bounds import cut
from app.ci.incoming import payload
from app.ci.incoming.payload import Answer, Unreadable, parse_answer
from app.ci.report import Detail
from app.provider import clock_skew
from app.provider.errors import AnswerLost, RequestRejected
from app.provider.queues import Queue, QueuePage, parse_queues
from app.provider.response import raise_for_status, request_id
from app.provider.values import Place, ProviderConfig, Request, Response

if TYPE_CHECKING:
    from app.provider.wire import Wire

log = logging.getLogger(__name__)

JOBS_PER_PAGE = 100
"""The largest page of CI's list."""

JOBS_PER_DESCRIBE = 50
"""Our own limit: 50 ids of 33 characters keep the path under 2 KB."""

QUEUES_PER_PAGE = 10
"""CI's default; its maximum is not published."""

_QUEUE_PAGES = 100  # bounds the calls if a server always announces one more page
_BEIJING = timezone(timedelta(hours=8))  # the clock in which CI writes its own times
_JOB_ID = re.compile(r"[^\s/\\%?#,]{1,128}\Z")
_T = TypeVar("_T")


class Head(Struct, frozen=True):
    """What COS reports about an object."""

    size: int  # bytes
    etag: str | None  # without quotes


class Provider:
    """CI and COS for one account. Safe to share between threads, and across a fork.

    Every call but `presigned_url` goes over the network once, is never repeated here, and raises a
    `ProviderError` that says what is certain: `NotSent`, `Throttled`, `RequestRejected`, `AnswerLost`, `ServerError`.
    Bucket and region are those of the host that is asked.
    """

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self._opened: Wire | None = None

    def submit(self, bucket: str, region: str, xml: bytes) -> Answer:
        """`POST /jobs` with exactly these bytes, once: one Detail for each operation.

        On a connection of its own: a stale one would look like a lost answer. An answer that does not name each job is
        `AnswerLost` too.
        """
        got = self._wire().send(Place(bucket, region), Request("POST", "/jobs", body=xml, fresh=True))
        answer = self._read(got, parse_answer, sent=xml)
        if not answer.details or answer.unreadable:
            raise self._unreadable(got, question=False)
        return answer

    def describe(self, bucket: str, region: str, job_ids: Iterable[str]) -> Answer:
        """`GET /jobs/<ids>`: the jobs that CI knows; in `non_existing` the ids that it does not know; in `unreadable`
        the jobs whose description cannot be read."""
        details: list[Detail] = []
        missing: list[str] = []
        unreadable: list[Unreadable] = []
        for ids in _chunks([_job_id(one) for one in dict.fromkeys(job_ids)], JOBS_PER_DESCRIBE):
            answer = self._answer(Place(bucket, region), "/jobs/" + ",".join(ids), {})
            details += answer.details
            missing += answer.non_existing
            unreadable += answer.unreadable
        return Answer(tuple(details), tuple(missing), None, tuple(unreadable))

    def list_jobs(
        self,
        bucket: str,
        region: str,
        tag: str,
        *,
        next_token: str | None = None,
        input_object: str | None = None,
        states: Iterable[str] = (),
        queue_id: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        size: int = JOBS_PER_PAGE,
        oldest_first: bool = False,
    ) -> Answer:
        """`GET /jobs`: one page, newest first unless asked; follow `next_token` until it is None.

        Times must know their offset. `input_object` is an exact key.
        """
        params = {
            "tag": tag,
            "queueId": queue_id,
            "orderByTime": "Asc" if oldest_first else "Desc",
            "nextToken": next_token,
            "size": str(max(1, min(size, JOBS_PER_PAGE))),
            "states": ",".join(states) or None,
            "startCreationTime": _ci_time(created_after),
            "endCreationTime": _ci_time(created_before),
            "inputObject": input_object,
        }
        return self._answer(Place(bucket, region), "/jobs", params)

    def cancel(self, bucket: str, region: str, job_id: str) -> None:
        """`PUT /jobs/<id>?cancel`. CI's 200 does not mean that the job has stopped: describe it."""
        path = "/jobs/" + _job_id(job_id)
        raise_for_status(
            self._wire().send(Place(bucket, region), Request("PUT", path, {"cancel": ""})), self._secrets
        )

    def queues(
        self, bucket: str, region: str, *, state: str | None = None, category: str | None = None
    ) -> tuple[Queue, ...]:
        """`GET /queue`, all pages. `state` is Active or Paused, `category` for example CateAll."""
        found: list[Queue] = []
        for number in range(1, _QUEUE_PAGES + 1):
            page = self._queue_page(Place(bucket, region), number, state, category)
            found += page.queues
            if len(found) >= page.total or not page.queues:
                break
        return tuple(found)

    def server_time(self, bucket: str, region: str) -> datetime | None:
        """CI's clock, from the `Date` header of a free call, even of an error; `None` if it sends none."""
        got = self._wire().send(
            Place(bucket, region), Request("GET", "/queue", {"pageNumber": "1", "pageSize": "1"})
        )
        return clock_skew.server_time(got.headers)

    def bucket_region(self, bucket: str, region: str) -> str | None:
        """`HEAD` of the bucket in that region: where COS says that it is; None if it does not say."""
        got = self._wire().send(Place(bucket, region), Request("HEAD", "/", service="cos"))
        if got.status == 404:  # The answer to a HEAD has no body, and so no code.
            raise RequestRejected("NoSuchBucket", status=404, request_id=request_id(got))
        raise_for_status(got, self._secrets)
        return cut("outputs.region", got.headers.get("x-cos-bucket-region")) or None

    def head_object(self, bucket: str, region: str, key: str) -> Head | None:
        """`HEAD` of an object; None if it does not exist."""
        got = self._wire().send(Place(bucket, region), Request("HEAD", f"/{key}", service="cos"))
        if got.status == 404:
            return None
        raise_for_status(got, self._secrets)
        size, etag = got.headers.get("Content-Length", ""), got.headers.get("ETag", "")
        return Head(
            size=int(size) if size.isdigit() else 0, etag=cut("outputs.etag", etag.strip('"')) or None
        )

    def open_object(self, bucket: str, region: str, key: str) -> BinaryIO:
        """`GET` of an object: its bytes as they come, to be closed. Raises `FileNotFoundError` if it does not exist."""
        got = self._wire().stream(Place(bucket, region), f"/{key}")
        if not isinstance(got, Response):
            return got
        if got.status == 404:
            raise FileNotFoundError(f"{bucket}/{key} does not exist")
        raise_for_status(got, self._secrets)
        raise AnswerLost("AnswerUnreadable", status=got.status, question=True)

    def presigned_url(self, bucket: str, region: str, key: str, seconds: int) -> str:
        """A URL with which anyone can read the object for that long. Signed locally; no call is made."""
        return self._wire().presigned(Place(bucket, region), key, seconds)

    def _wire(self) -> "Wire":
        """Imports the SDK on the first call. Of two threads that open it at once the last one's stays: no lock, which
        a fork may copy held."""
        opened = self._opened
        if opened is None:
            from app.provider.wire import Wire  # noqa: PLC0415 - 0.1 s, for a process that asks CI

            opened = self._opened = Wire(self.config)
        return opened

    def _queue_page(self, place: Place, number: int, state: str | None, category: str | None) -> QueuePage:
        size = str(QUEUES_PER_PAGE)
        params = {"pageNumber": str(number), "pageSize": size, "state": state, "category": category}
        return self._get(place, "/queue", params, parse_queues)

    def _answer(self, place: Place, path: str, params: dict[str, str | None]) -> Answer:
        """The jobs of an answer. Those that cannot be read are logged, and do not affect the others."""
        answer = self._get(place, path, params, parse_answer)
        for one in answer.unreadable:
            log.error("cannot read job %r in CI's answer: %s", one.job_id, one.why)
        return answer

    def _get(
        self, place: Place, path: str, params: dict[str, str | None], parse: Callable[[bytes], _T]
    ) -> _T:
        query = {name: value for name, value in params.items() if value is not None}
        return self._read(self._wire().send(place, Request("GET", path, query)), parse)

    def _read(self, got: Response, parse: Callable[[bytes], _T], sent: bytes = b"") -> _T:
        raise_for_status(got, self._secrets, sent)
        try:
            return parse(got.body)
        except payload.Refused:
            pass
        raise self._unreadable(got, question=not sent)

    def _unreadable(self, got: Response, *, question: bool) -> AnswerLost:
        return AnswerLost(
            "AnswerUnreadable", status=got.status, request_id=request_id(got), question=question
        )

    @property
    def _secrets(self) -> tuple[str, ...]:
        return tuple(s for s in (self.config.secret_key, self.config.token) if s)


def _job_id(job_id: str) -> str:
    """The id is part of a path, and may come from a stranger's callback. Raises RequestRejected."""
    if not _JOB_ID.match(job_id) or job_id in (".", ".."):
        raise RequestRejected(
            "InvalidName", "a job id has 1 to 128 characters, without space, comma, / \\ % ? #"
        )
    return job_id


def _ci_time(moment: datetime | None) -> str | None:
    """`2022-06-27T15:23:10+0800`, as CI writes times. Raises ValueError for a time without an offset."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset")
    return moment.astimezone(_BEIJING).strftime("%Y-%m-%dT%H:%M:%S%z")


def _chunks(items: list[_T], size: int) -> Iterator[list[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
