"""The objects that a job writes into its bucket, and the MediaResult that reports them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.http.tree import Node, Tree, child, text
from emulator.media.files import File, file, media_info

if TYPE_CHECKING:
    from emulator.cos.objects import Objects, Stored
    from emulator.jobs.jobs import Job

WILDCARD = re.compile(r"\$\{(\w+)\}")


class Writer:
    """Writes the outputs of one job."""

    def __init__(self, job: Job, objects: Objects) -> None:
        output = child(job.operation, "Output")
        self.job = job
        self.output = output
        self.bucket = text(output, "Bucket") or job.bucket
        self.region = text(output, "Region") or job.region
        self._objects = objects

    def key(self, name: str = "Object", **known: str) -> str:
        """A key of `Output`, its wildcards filled in; the documentation varies their case."""
        values = {"jobid": self.job.id, "inputname": "demo", "inputpath": "", **known}
        return WILDCARD.sub(lambda found: values.get(found[1].lower(), found[0]), text(self.output, name))

    def write(self, key: str, body: bytes) -> Stored:
        return self._objects.put(self.bucket, key, body)

    def files(self, made: Sequence[tuple[str, File]], sprites: Sequence[tuple[str, File]] = ()) -> Tree:
        """Write these; the MediaInfo and MediaResult that CI reports of them."""
        output_file = self._output_file(made)
        if sprites:
            output_file["SpriteOutputFile"] = self._output_file(sprites)
        return {
            "MediaInfo": media_info([each for _, each in made]),
            "MediaResult": {"OutputFile": output_file},
        }

    def _output_file(self, made: Sequence[tuple[str, File]]) -> Tree:
        """Pictures have no MD5 in CI's reports."""
        stored = [(key, each, self.write(key, each.body)) for key, each in made]
        sums: list[Node] = [{"Md5": one.etag, "ObjectName": key} for key, each, one in stored if each.about]
        return {
            "Bucket": self.bucket,
            "Md5Info": one_or_list(sums),
            "ObjectName": one_or_list([key for key, _, _ in stored]),
            "ObjectPrefix": "",
            "Region": self.region,
        }

    def file(self, suffix: str, name: str, voice: str = "vocals") -> File:
        return file(suffix, f"{name} of {self.job.id}", voice)


def one_or_list(nodes: Sequence[Node]) -> Node:
    """CI's JSON: one item stands alone, several are a list."""
    return [*nodes] if len(nodes) != 1 else nodes[0]
