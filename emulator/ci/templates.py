"""Templates: job settings stored under an id."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from emulator.http.tree import Tree
from emulator.jobs.ids import moment, template_id

if TYPE_CHECKING:
    import sqlite3

    from emulator.database import Database


@dataclass(frozen=True)
class Template:
    """One template; `body` holds the settings of its tag: for VoiceSeparate, AudioMode and AudioConfig."""

    id: str
    bucket: str
    tag: str
    name: str
    body: Tree
    category: str = "Custom"
    created: float = 0.0
    updated: float = 0.0

    def tree(self) -> Tree:
        return {
            "Tag": self.tag,
            "TemplateId": self.id,
            "Name": self.name,
            "BucketId": self.bucket,
            "Category": self.category,
            self.tag: self.body,
            "CreateTime": moment(self.created),
            "UpdateTime": moment(self.updated),
        }


# Every bucket has this one; the id is that of the documentation's examples.
_OFFICIAL = Template(
    "t1460606b9752148c4ab182f55163ba7cd",
    "",
    "VoiceSeparate",
    "voiceseparate_demo",
    {"AudioMode": "AudioAndBackground", "AudioConfig": {"Codec": "mp3", "Samplerate": "44100"}},
    "Official",
)


class Templates:
    """The templates of all buckets."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._created = time.time()

    def all(self, bucket: str) -> list[Template]:
        rows = self._db.rows("SELECT record FROM templates WHERE bucket = ? ORDER BY seq", bucket)
        official = replace(_OFFICIAL, bucket=bucket, created=self._created, updated=self._created)
        return [official, *(_load(row) for row in rows)]

    def get(self, bucket: str, wanted: str) -> Template | None:
        return next((one for one in self.all(bucket) if one.id == wanted), None)

    def make(self, bucket: str, tag: str, name: str, body: Tree) -> Template:
        now = time.time()
        made = Template(template_id(), bucket, tag, name, body, created=now, updated=now)
        self._db.write(
            "INSERT INTO templates (bucket, id, record) VALUES (?, ?, ?)",
            bucket,
            made.id,
            json.dumps(asdict(made)),
        )
        return made

    def change(self, template: Template, name: str, body: Tree) -> Template:
        changed = replace(template, name=name, body=body, updated=time.time())
        self._db.write(
            "UPDATE templates SET record = ? WHERE id = ?", json.dumps(asdict(changed)), changed.id
        )
        return changed

    def delete(self, template: Template) -> None:
        self._db.write("DELETE FROM templates WHERE id = ?", template.id)


def _load(row: sqlite3.Row) -> Template:
    return Template(**json.loads(row["record"]))
