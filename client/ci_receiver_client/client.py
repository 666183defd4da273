"""The client for programs without an event loop. ``asynchronous.py`` has the same operations for those with one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from ci_receiver_client import calls, connecting
from ci_receiver_client.calls import Call, Filters
from ci_receiver_client.documents import Gap, Job, Receipt, Replay, StreamEvent, Submission
from ci_receiver_client.errors import NotEnded, Problem, UnexpectedAnswer, Unreachable
from ci_receiver_client.sse import SILENCE_S, Reader

T = TypeVar("T")


class Client:
    """The API of one installation. Threads may share it; close it, or use it in a ``with`` block."""

    def __init__(
        self, url: str, key: str, *, timeout: float = 30.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        """``url`` may have a path; ``timeout`` (seconds) bounds each answer, beyond what the service holds it for."""
        self._timeout = timeout
        self._http = httpx.Client(transport=transport, **connecting.options(url, key, timeout))

    def submit(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Receipt:
        """Send a job, or several, to CI: the JSON of ``POST /v1/jobs``.

        The same ``idempotency_key`` and request within 24 h send nothing and give the first answer.
        """
        return self._call(calls.submit(request, idempotency_key))

    def submission(self, submission_id: str) -> Submission:
        """A submission and its status, also before there is a job."""
        return self._call(calls.submission(submission_id))

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises ``Problem`` with the reason ``not_found``."""
        return self._call(calls.get(job_id))

    def wait(self, job_id: str, timeout: float = 3600.0) -> Job:
        """The job when it has ended. Raises ``NotEnded`` after ``timeout`` seconds; with 0 it asks once.

        Asks again if the service is temporarily unavailable, after its ``Retry-After``.
        """
        until, left, seen = time.monotonic() + timeout, timeout, None
        while True:
            pause = connecting.PAUSE_S
            try:
                seen = self._call(calls.get(job_id, min(max(0.0, left), calls.LONGEST_WAIT_S)))
            except (Problem, UnexpectedAnswer, Unreachable) as error:
                pause = connecting.pause_after(error)
            if seen and seen.terminal:
                return seen
            # An answer can come early, if the service stops or has reached its limit of waiting clients.
            time.sleep(min(pause, max(0.0, until - time.monotonic())))
            if (left := until - time.monotonic()) <= 0:
                raise NotEnded(job_id, seen)

    def refresh(self, job_id: str) -> Job:
        """Have CI asked about the job now; the job as it is after its answer.

        Until CI has confirmed outputs that only a callback names, they have no ``url`` (``outputs_unchecked``).
        """
        return self._call(calls.refresh(job_id))

    def jobs(self, filters: Filters | None = None, *, page_size: int = 200) -> Iterator[Job]:
        """All jobs that match, newest first; the next page is requested when the previous one is exhausted."""
        cursor: str | None = None
        while True:
            page = self._call(calls.page(filters or Filters(), page_size, cursor))
            yield from page.jobs
            cursor = page.next_cursor
            if cursor is None:
                return

    def replay(self, job_id: str, *, handler: str | None = None, endpoint: str | None = None) -> Replay:
        """Repeat the job's latest event, for all handlers and endpoints or only for one."""
        return self._call(calls.replay(job_id, handler, endpoint))

    def events(
        self, *, job_id: str | None = None, tag: str | None = None, last_id: str | None = None
    ) -> Iterator[StreamEvent | Gap]:
        """Events as they happen, without end; after ``last_id`` (a ``stream_id``), else from now on.

        A connection that breaks is made again and resumed, so that no event is left out or given twice. Raises
        ``Problem`` for what a new connection would not change, such as a key without the scope ``read``, and
        ``Unreachable`` if there is no answer at first: the host or its certificate may be wrong.
        """
        reader, query, connected = Reader(last_id), connecting.chosen(job_id, tag), False
        while True:
            try:
                with self._http.stream(
                    "GET", "/v1/events", params=query, headers=reader.headers(), timeout=SILENCE_S
                ) as answer:
                    connected = True
                    if not answer.is_success:
                        answer.read()
                        raise calls.refused(answer)
                    for line in answer.iter_lines():
                        if (event := reader.line(line)) is not None:
                            yield event
            except (Problem, UnexpectedAnswer) as error:
                connecting.pause_after(error)
            except httpx.TransportError as error:
                if not connected:
                    raise Unreachable(connecting.cause(error)) from error
            time.sleep(reader.pause())

    def _call(self, call: Call[T]) -> T:
        try:
            answer = self._http.request(**connecting.request(call, self._timeout))
        except httpx.TransportError as error:
            raise Unreachable(connecting.cause(error)) from error
        if not answer.is_success:
            raise calls.refused(answer)
        return call.read(answer)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
