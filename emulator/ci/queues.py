"""Queues: every bucket has the same four, as CI creates them with the service, each with its own state."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from emulator.http.tree import Tree, child, text
from emulator.jobs.ids import moment

if TYPE_CHECKING:
    from emulator.database import Database


@dataclass(frozen=True)
class Queue:
    """One queue of one bucket. `notify` is its NotifyConfig with all children."""

    id: str
    name: str
    category: str
    state: str = "Active"
    notify: Tree = field(default_factory=lambda: {"Url": "", "Event": "", "Type": "", "State": "Off"})
    created: float = 0.0
    updated: float = 0.0

    def tree(self, size: int) -> Tree:
        """In CI's format; `size` is the number of jobs that it holds."""
        return {
            "QueueId": self.id,
            "Name": self.name,
            "State": self.state,
            "NotifyConfig": self.notify,
            "MaxSize": str(size),
            "MaxConcurrent": "10",
            "UpdateTime": moment(self.updated),
            "CreateTime": moment(self.created),
            "Category": self.category,
        }


# The second is the id that the documentation of VoiceSeparate uses in its examples.
_BUILT_IN = (
    Queue("p4a17eeea29334bf499b7e20e2fbfd99d", "queue-1", "Transcoding"),
    Queue("p2242ab62c7c94486915508540933a2c6", "queue-speech-1", "Speeching"),
    Queue("p8366c460c67b4c65a9bf81b41eaa3c4b", "queue-pic-process-1", "PicProcessing"),
    Queue("p2505d57bdf4c4329804b58a6a5fb1572", "queue-doc-process-1", "DocProcessing"),
)

# The queue of a request that names none, by tag; other tags use the first.
_CATEGORY = {
    "VoiceSeparate": "Speeching",
    "SpeechRecognition": "Speeching",
    "Tts": "Speeching",
    "NoiseReduction": "Speeching",
    "SoundHound": "Speeching",
    "VocalScore": "Speeching",
    "PicProcess": "PicProcessing",
    "DocProcess": "DocProcessing",
}


class Queues:
    """The queues of all buckets: the built-in ones and their changes."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._created = time.time()

    def all(self, bucket: str) -> list[Queue]:
        changed = {
            row["id"]: Queue(**json.loads(row["record"]))
            for row in self._db.rows("SELECT id, record FROM queues WHERE bucket = ?", bucket)
        }
        return [
            changed.get(one.id) or replace(one, created=self._created, updated=self._created)
            for one in _BUILT_IN
        ]

    def get(self, bucket: str, queue_id: str) -> Queue | None:
        return next((one for one in self.all(bucket) if one.id == queue_id), None)

    def for_tag(self, bucket: str, tag: str) -> Queue:
        category = _CATEGORY.get(tag, "Transcoding")
        return next(one for one in self.all(bucket) if one.category == category)

    def update(self, bucket: str, queue: Queue, request: Tree) -> Queue:
        """Apply a `PUT /queue/<id>`; omitted fields stay."""
        changed = replace(
            queue,
            name=text(request, "Name") or queue.name,
            state=text(request, "State") or queue.state,
            notify={**queue.notify, **child(request, "NotifyConfig")},
            updated=time.time(),
        )
        self._db.write(
            "INSERT OR REPLACE INTO queues (bucket, id, record) VALUES (?, ?, ?)",
            *(bucket, changed.id, json.dumps(asdict(changed))),
        )
        return changed
