"""The client with an event loop has the same operations, and they do the same."""

from __future__ import annotations

import asyncio
import inspect
import secrets

import pytest
from ci_receiver_client import AsyncClient, Client, Filters, NotEnded, Problem, StreamEvent, Unreachable

from harness.servers import Service, free_port
from tests.client.conftest import REQUEST
from tests.workers.news import tell


def test_it_has_the_same_operations() -> None:
    """With the same parameters, but for the transport."""
    for name, operation in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_") and name != "close":
            other = getattr(AsyncClient, name)
            assert (
                inspect.signature(other).parameters.keys() == inspect.signature(operation).parameters.keys()
            )


def test_a_job_goes_the_whole_way(running: Service) -> None:
    """Submit, wait, get, list by label, replay, the submission."""
    mark = secrets.token_hex(8)

    async def program() -> None:
        async with AsyncClient(running.url, running.key) as receiver:
            receipt = await receiver.submit(REQUEST | {"labels": {"batch": mark}})
            job = await receiver.wait(receipt.job.job_id, timeout=100)
            assert job.state == "Success" and job.submission is not None
            assert (await receiver.get(job.job_id)).state == "Success"
            assert (await receiver.refresh(job.job_id)).outputs_unchecked is None
            assert [each.job_id async for each in receiver.jobs(Filters(labels={"batch": mark}))] == [
                job.job_id
            ]
            assert (await receiver.replay(job.job_id)).job_id == job.job_id
            assert (await receiver.submission(job.submission.id)).status == "submitted"

    asyncio.run(program())


def test_it_raises_the_same(running: Service) -> None:
    """Problems with their reason, a wait that is over, a service that is away."""

    async def program() -> None:
        async with AsyncClient(running.url, running.key) as receiver:
            with pytest.raises(Problem) as raised:
                await receiver.wait("jnone")
            assert raised.value.reason == "not_found"
            job_id, _ = tell(running.services, "Running", EndTime=None)
            with pytest.raises(NotEnded):
                await receiver.wait(job_id, timeout=0.3)
        async with AsyncClient(f"http://127.0.0.1:{free_port()}", "key") as receiver:
            with pytest.raises(Unreachable):
                await receiver.get("j1")
        async with AsyncClient(running.url, "wrong") as receiver:
            with pytest.raises(Problem) as raised:
                await anext(aiter(receiver.events()))
            assert raised.value.reason == "unauthorized"

    asyncio.run(program())


def test_events_are_streamed_while_others_wait(running: Service) -> None:
    """Several streams in one loop, each of one job; one is resumed after the other's first event."""

    async def program() -> None:
        first, first_event = tell(running.services, "Running", EndTime=None)
        async with AsyncClient(running.url, running.key) as receiver:

            async def hear(job_id: str) -> StreamEvent:
                async for event in receiver.events(job_id=job_id, last_id="1-0"):
                    if isinstance(event, StreamEvent):
                        return event
                raise AssertionError("the stream ended")

            second, second_event = tell(running.services)
            heard = await asyncio.wait_for(asyncio.gather(hear(first), hear(second)), 100)
            assert [each.event_id for each in heard] == [first_event, second_event]

    asyncio.run(program())
