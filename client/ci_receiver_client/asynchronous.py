"""The client for programs with an event loop (asyncio); ``client.py`` says what each operation does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from ci_receiver_client import calls, connecting
from ci_receiver_client.calls import Call, Filters
from ci_receiver_client.documents import Gap, Job, Receipt, Replay, StreamEvent, Submission
from ci_receiver_client.errors import NotEnded, Problem, UnexpectedAnswer, Unreachable
from ci_receiver_client.sse import SILENCE_S, Reader

T = TypeVar("T")


class AsyncClient:
    """The API of one installation. Close it, or use it in an ``async with`` block."""

    def __init__(
        self, url: str, key: str, *, timeout: float = 30.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """As ``Client``."""
        self._timeout = timeout
        self._http = httpx.AsyncClient(transport=transport, **connecting.options(url, key, timeout))

    async def submit(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Receipt:
        """As ``Client.submit``."""
        return await self._call(calls.submit(request, idempotency_key))

    async def submission(self, submission_id: str) -> Submission:
        """As ``Client.submission``."""
        return await self._call(calls.submission(submission_id))

    async def get(self, job_id: str) -> Job:
        """As ``Client.get``."""
        return await self._call(calls.get(job_id))

    async def wait(self, job_id: str, timeout: float = 3600.0) -> Job:
        """As ``Client.wait``."""
        until, left, seen = time.monotonic() + timeout, timeout, None
        while True:
            pause = connecting.PAUSE_S
            try:
                seen = await self._call(calls.get(job_id, min(max(0.0, left), calls.LONGEST_WAIT_S)))
            except (Problem, UnexpectedAnswer, Unreachable) as error:
                pause = connecting.pause_after(error)
            if seen and seen.terminal:
                return seen
            await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
            if (left := until - time.monotonic()) <= 0:
                raise NotEnded(job_id, seen)

    async def refresh(self, job_id: str) -> Job:
        """As ``Client.refresh``."""
        return await self._call(calls.refresh(job_id))

    async def jobs(self, filters: Filters | None = None, *, page_size: int = 200) -> AsyncIterator[Job]:
        """As ``Client.jobs``."""
        cursor: str | None = None
        while True:
            page = await self._call(calls.page(filters or Filters(), page_size, cursor))
            for job in page.jobs:
                yield job
            cursor = page.next_cursor
            if cursor is None:
                return

    async def replay(self, job_id: str, *, handler: str | None = None, endpoint: str | None = None) -> Replay:
        """As ``Client.replay``."""
        return await self._call(calls.replay(job_id, handler, endpoint))

    async def events(
        self, *, job_id: str | None = None, tag: str | None = None, last_id: str | None = None
    ) -> AsyncIterator[StreamEvent | Gap]:
        """As ``Client.events``."""
        reader, query, connected = Reader(last_id), connecting.chosen(job_id, tag), False
        while True:
            try:
                async with self._http.stream(
                    "GET", "/v1/events", params=query, headers=reader.headers(), timeout=SILENCE_S
                ) as answer:
                    connected = True
                    if not answer.is_success:
                        await answer.aread()
                        raise calls.refused(answer)
                    async for line in answer.aiter_lines():
                        if (event := reader.line(line)) is not None:
                            yield event
            except (Problem, UnexpectedAnswer) as error:
                connecting.pause_after(error)
            except httpx.TransportError as error:
                if not connected:
                    raise Unreachable(connecting.cause(error)) from error
            await asyncio.sleep(reader.pause())

    async def _call(self, call: Call[T]) -> T:
        try:
            answer = await self._http.request(**connecting.request(call, self._timeout))
        except httpx.TransportError as error:
            raise Unreachable(connecting.cause(error)) from error
        if not answer.is_success:
            raise calls.refused(answer)
        return call.read(answer)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
