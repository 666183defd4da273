"""CI's queues, as `GET /queue` lists them."""

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from app.ci.bounds import cut
from app.ci.incoming import times
from app.ci.incoming.fields import node, nodes, text
from app.ci.incoming.payload import read_body_view


class Notify(BaseModel):
    """Where a queue sends callbacks of jobs that name no CallBack of their own."""

    model_config = ConfigDict(frozen=True)

    state: str | None = None  # On or Off
    url: str | None = None
    type: str | None = None  # Url or TDMQ
    event: str | None = None  # TaskFinish, WorkflowFinish, joined by commas
    result_format: str | None = None  # XML (CI's default) or JSON


class Queue(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    name: str | None = None
    state: str | None = None  # Active or Paused
    category: str | None = None
    max_size: int | None = None  # jobs that may wait
    max_concurrent: int | None = None  # jobs that may run
    notify: Notify = Notify()
    created_at: str | None = None  # RFC 3339, UTC
    updated_at: str | None = None


class QueuePage(NamedTuple):
    queues: tuple[Queue, ...]
    total: int


def parse_queues(body: bytes) -> QueuePage:
    """One page of CI's answer to `GET /queue`. Raises app.ci.incoming.payload.Refused for anything else."""
    _, view = read_body_view(body)
    top = node(view.get("Response")) or view
    found = tuple(_queue(one) for one in nodes(top.get("QueueList")))
    return QueuePage(found, _number(top.get("TotalCount")) or len(found))


def _queue(raw: dict[str, Any]) -> Queue:
    notify = node(raw.get("NotifyConfig"))
    return Queue(
        id=cut("queue.id", text(raw.get("QueueId"))) or "",
        name=cut("queue.name", text(raw.get("Name"))),
        state=_word(raw.get("State")),
        category=_word(raw.get("Category")),
        max_size=_number(raw.get("MaxSize")),
        max_concurrent=_number(raw.get("MaxConcurrent")),
        notify=Notify(
            state=_word(notify.get("State")),
            url=cut("queue.url", text(notify.get("Url"))),
            type=_word(notify.get("Type")),
            event=_word(notify.get("Event")),
            result_format=_word(notify.get("ResultFormat")),
        ),
        created_at=times.utc(raw.get("CreateTime")),
        updated_at=times.utc(raw.get("UpdateTime")),
    )


def _word(value: object) -> str | None:
    return cut("queue.word", text(value))


def _number(value: object) -> int | None:
    found = text(value)
    return int(found) if found and found.isdecimal() and len(found) < 19 else None
