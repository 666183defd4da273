"""The schema version of this release."""

from __future__ import annotations

VERSION = "6"


def mismatch(found: str) -> str:
    """Why this release cannot write to a Redis whose data has the version ``found`` ('' for none)."""
    if found and int(found) > int(VERSION):
        return (
            f"The data in Redis has schema version {found}, this release knows versions up to {VERSION}. "
            "Start the newer release again, or restore a backup that was made before it."
        )
    return (
        "The data in Redis is of an earlier release and not yet migrated: start the relay, which migrates it."
    )
