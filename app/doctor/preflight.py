"""Checks before a process starts: ``python -m app.doctor.preflight``.

One message names every fault, instead of a traceback from each worker. It is a process of its own, so that gunicorn's
master never imports the application: after a reload its workers would still run the old code.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator, Sequence

from redis import Redis

from app import create_app, settings
from app.core import logs
from app.redis import rights
from app.redis.connection import MayNotAsk
from app.redis.outage import cause
from app.settings import Settings, SettingsError
from app.spool.installation import Installation
from app.store import UNAVAILABLE, Database, DurabilityUnsupported, Durable, Schema, WrongSchema, connect
from app.store.submissions.submissions import Submissions

log = logging.getLogger(__name__)


def check_start(chosen: Settings, serving: Settings | None = None) -> None:
    """Raises ``SettingsError`` if something that the settings need is missing. A Redis that is away is not a fault,
    because callbacks are spooled; for a reload with another Redis than that of the settings ``serving`` it is one."""
    _check_spool(chosen)
    client = connect(chosen.redis_url, timeout=chosen.redis_timeout)
    database = Database(client, chosen.key_prefix)
    durable = Durable(client, database.key("probe"), chosen.durability, chosen.redis_timeout)
    try:
        _check_rights(chosen, client)
        for advice in (*durable.check(), *_eviction(client)):
            log.warning("%s", advice)
        _check_schema(chosen, database)
        _check_keys(chosen, Submissions(database, durable))
        _check_installation(chosen, database)
    except DurabilityUnsupported as error:
        raise SettingsError(f"{error} Or choose another DURABILITY (docs/durability.md).") from None
    except UNAVAILABLE as error:
        if serving and serving.redis_url != chosen.redis_url:
            raise SettingsError(f"REDIS_URL has changed and cannot be used: {cause(error)}.") from None
        log.warning("starting without Redis; callbacks go to the spool until it is available, so start it")
    finally:
        client.close()


def _check_schema(chosen: Settings, database: Database) -> None:
    """Convert data of an earlier release; refuse data of a newer one."""
    try:
        Schema(database, min(chosen.retention_raw, chosen.retention_jobs)).prepare()
    except WrongSchema as error:
        raise SettingsError(str(error)) from None


def _check_rights(chosen: Settings, client: Redis) -> None:
    lacking = rights.missing(client, chosen.key_prefix)
    if lacking:
        raise SettingsError(
            f"The Redis user of REDIS_URL lacks rights: {', '.join(lacking)}.\n"
            f"It needs what this line of an ACL gives (docs/deploy.md):\n  {rights.acl_line(chosen.key_prefix)}"
        )


def _eviction(client: Redis) -> Iterator[str]:
    """Eviction would delete jobs, runs and API keys when memory is short."""
    try:
        policy = str(client.info("memory").get("maxmemory_policy", "noeviction"))
    except MayNotAsk:
        return
    if policy != "noeviction":
        yield f"Redis has maxmemory-policy {policy}, which deletes jobs when memory is short: set it to noeviction."


def ignore_reload() -> None:
    """For processes that read settings only at their start: SIGHUP would end them silently."""
    signal.signal(
        signal.SIGHUP, lambda *_: log.warning("SIGHUP ignored: restart this process to load new settings")
    )


def missing_keys(chosen: Settings, submissions: Submissions) -> str:
    """Keys that CALLBACK_KEYS lacks and open jobs need, each with the number of jobs: ``k1 (for 3)``; or nothing."""
    known = {key.id for key in chosen.callback_keys} | set(chosen.callback_keys_withdrawn)
    needed = sorted(submissions.open_keys().items())
    return ", ".join(f"{key} (for {count})" for key, count in needed if key not in known)


def _check_keys(chosen: Settings, submissions: Submissions) -> None:
    """Removing a key while jobs still need it would refuse good callbacks."""
    if missing := missing_keys(chosen, submissions):
        raise SettingsError(
            f"CALLBACK_KEYS lacks keys that signed the URLs of jobs that have not ended: {missing}.\n"
            "Their callbacks would be refused. Put the keys back, behind the first one, until those jobs have ended; "
            "or, if they have leaked, name them in CALLBACK_KEYS_WITHDRAWN: then CI is asked about those jobs."
        )


def _check_installation(chosen: Settings, database: Database) -> None:
    """Only log it: even with a Redis of another installation, callbacks must be accepted."""
    if chosen.spool_dir:
        installation = Installation(database, chosen.spool_dir, chosen.redis_url)
        if (state := installation.state(make=False)) != "ok":
            log.error("%s. Run `flask doctor`: it says what to do", installation.explain(state))


def _check_spool(chosen: Settings) -> None:
    if chosen.spool_dir is None:
        return
    try:
        chosen.spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"SPOOL_DIR cannot be created: {chosen.spool_dir} ({error.strerror})") from None


def main(arguments: Sequence[str]) -> int:
    """Write the settings to standard output for the parent process, or a fault to standard error.

    ``--reload``: standard input holds the settings in use. As a reload replaces processes that work, the application
    must also be buildable then, and a fault goes to standard output.
    """
    logs.configure("start")
    reload = "--reload" in arguments
    try:
        chosen = settings.load()
        if reload:
            check_start(chosen, settings.unpacked(sys.stdin.buffer.read()))
            create_app(chosen)
        else:
            check_start(chosen)
    except SettingsError as error:
        (sys.stdout if reload else sys.stderr).write(f"{error.message}\n")
        return error.exit_code
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(settings.packed(chosen))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
