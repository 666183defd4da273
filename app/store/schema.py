"""The version of what is stored, and how data of an earlier release becomes that of this one.

``schema`` is a hash: ``version``, and ``since`` when this version was reached (ms). Release 1 wrote none. Every release
takes over what all before it wrote; a newer version than ours is refused, by the start and by every write.
"""

from __future__ import annotations

VERSION = "2"


def mismatch(found: str) -> str:
    """Why this release cannot write into a Redis whose data has the version ``found`` ('' for none)."""
    if found and int(found) > int(VERSION):
        return (
            f"the data in Redis has schema version {found}, this release knows up to {VERSION}: "
            "start the newer release, or restore a backup that was made before it"
        )
    return "the data in Redis is of an earlier release and is not migrated yet: restart a process of this release"
