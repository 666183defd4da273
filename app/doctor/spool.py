"""The spool: may it be written, does its disk outlive a restart, and is this the Redis that it belongs to?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from app.doctor.finding import Finding
from app.web.services import WebServices

_MOUNTS: Final = Path("/proc/self/mounts")
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_IN_CONTAINER: Final = frozenset({"overlay", "aufs"})
_ON_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.s3fs"}
)


def spool(services: WebServices) -> Iterator[Finding]:
    if services.spool is None:
        todo = (
            "Set it to a folder on a local disk: without it, callbacks get 503 while Redis is unavailable, "
            "and CI may not retry them."
        )
        yield Finding("warn", "SPOOL_DIR", "is not set", todo)
        return
    condition, waiting = services.spool.condition()
    if condition == "ok":
        yield Finding("ok", "SPOOL_DIR", f"{waiting} bytes pending")
    else:
        yield Finding("fail", "SPOOL_DIR", condition, "Free space on its disk, or let this user write to it.")


def set_aside(services: WebServices) -> Iterator[Finding]:
    """Spool records that were set aside: nothing replays them until a person does."""
    if services.spool and (aside := services.spool.set_aside()).records:
        todo = "`flask spool list` shows why; fix the cause, then `flask spool retry`: docs/durability.md."
        yield Finding("warn", "Set aside", f"{aside.records} records, {aside.bytes} bytes", todo)


_LOST = (
    "Restore Redis from a backup. Without one: list revoked tokens in REVOKED_TOKENS, create new API keys (`flask keys "
    "create`), import CI's jobs (`flask jobs import`); then run `flask spool accept`."
)
_FOREIGN = (
    "If this is another installation, give it a SPOOL_DIR of its own. If Redis moved without its data, proceed as for "
    "an empty one (docs/durability.md), then run `flask spool accept`. Until then this spool is not replayed."
)


def installation(services: WebServices) -> Iterator[Finding]:
    """Whether this is the Redis with which the installation was set up: it holds the same id as SPOOL_DIR."""
    if services.installation is None:
        return
    try:
        state = services.installation.state()
    except RedisError:
        return
    if state == "ok":
        yield Finding("ok", "Installation", "Redis and SPOOL_DIR agree")
    else:
        todo = _LOST if state == "lost" else _FOREIGN
        yield Finding("fail", "Installation", services.installation.explain(state), todo)


def disk(services: WebServices) -> Iterator[Finding]:
    """What a spooled callback survives depends on the file system that SPOOL_DIR is on (Linux only)."""
    folder = services.settings.spool_dir
    kind = file_system(folder) if folder else None
    if kind in _IN_MEMORY:
        todo = "Move it to a disk: what is spooled is lost when this machine or container restarts."
        yield Finding("fail", "SPOOL_DIR disk", f"{folder} is in memory ({kind})", todo)
    elif kind in _IN_CONTAINER:
        todo = "Mount a volume there: what is spooled is lost with the container."
        yield Finding("warn", "SPOOL_DIR disk", f"{folder} is in the container's own layer ({kind})", todo)
    elif kind in _ON_NETWORK:
        todo = "Use a local disk: where the network fails, Redis and the spool are unavailable together."
        yield Finding("warn", "SPOOL_DIR disk", f"{folder} is on the network ({kind})", todo)
    elif kind:
        yield Finding("ok", "SPOOL_DIR disk", kind)


def file_system(folder: Path) -> str | None:
    """The type of the file system that a folder is on, or would be made on; ``None`` if the system does not report
    it."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return None
    # Later mounts cover earlier ones (proc(5)): of the same place the last counts.
    mounts = {Path(_unescaped(point)): kind for _, point, kind, *_ in map(str.split, lines)}
    place = folder.resolve()
    return next((mounts[each] for each in (place, *place.parents) if each in mounts), None)


def _unescaped(point: str) -> str:
    """A path of /proc/self/mounts, which writes space, tab, line end and backslash as octal numbers (fstab(5))."""
    return point.encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
