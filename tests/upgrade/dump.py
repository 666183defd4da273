"""Data that an earlier release wrote, put into a server and a folder of the test's own (tests/data/README.md)."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from app.settings import Settings
from harness.servers import ROOT, Valkey
from harness.settings import make_settings

YEARS_S = 100 * 365 * 86400
"""The data grows old, and must not be removed for it."""


@dataclass(frozen=True, slots=True)
class Dump:
    """What one release wrote; ``manifest`` is what a user of that installation holds."""

    folder: Path

    @property
    def manifest(self) -> dict[str, Any]:
        kept: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return kept

    @property
    def said(self) -> dict[str, Any]:
        """What the code of that schema read from it: a job of its own, and those that came from release 1."""
        read: dict[str, Any] = json.loads((self.folder / "said.json").read_text())
        return read

    def job(self, name: str) -> str:
        job_id: str = self.manifest["jobs"][name]
        return job_id

    def settings(self, server: Valkey, **more: object) -> Settings:
        """Those of that installation, on another server."""
        return make_settings(
            server.url,
            key_prefix="ci:",
            callback_keys=self.manifest["callback_keys"],
            retention_raw=YEARS_S,
            retention_jobs=YEARS_S,
            **more,
        )

    def load(self, redis: Redis) -> None:
        for line in (self.folder / "redis.jsonl").read_text().splitlines():
            _restore(redis, json.loads(line))

    def copy_spool(self, folder: Path) -> None:
        shutil.copytree(self.folder / "spool", folder)


RELEASE1 = Dump(ROOT / "tests" / "data" / "release1")
SCHEMAS = tuple(Dump(ROOT / "tests" / "data" / name) for name in ("schema2", "schema3"))


def _restore(redis: Redis, row: dict[str, Any]) -> None:
    key, value = row["key"], row["value"]
    match row["type"]:
        case "string":
            redis.set(key, _bytes(value))
        case "hash":
            redis.hset(key, mapping={_bytes(name): _bytes(each) for name, each in value})
        case "list":
            redis.rpush(key, *map(_bytes, value))
        case "set":
            redis.sadd(key, *map(_bytes, value))
        case "zset":
            redis.zadd(key, {_bytes(member): score for member, score in value})
        case "stream":
            for stream_id, fields in value:
                redis.xadd(key, {_bytes(name): _bytes(each) for name, each in fields}, id=stream_id)
            for group in row["groups"]:
                redis.xgroup_create(key, group["name"], id=group["last"])
    if "pttl" in row:
        redis.pexpire(key, row["pttl"])


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else str(value).encode()
