"""May this start at all? ``python -m app.preflight``, asked by every process before it begins.

One message that names every fault, instead of a traceback from each worker. A process of its own, so that gunicorn's
master never imports the application: its workers would inherit that code through a reload.
"""

from __future__ import annotations

import logging
import sys

from app import logs, settings
from app.settings import Settings, SettingsError
from app.store import UNAVAILABLE, Database, Durable, NotOffered, connect
from app.store.installation import Installation
from app.store.submissions import Submissions

log = logging.getLogger(__name__)


def check(chosen: Settings) -> None:
    """Raises ``SettingsError`` where the settings ask for what is not there. A Redis that is away is no fault:
    callbacks can be spooled until it is back."""
    _check_spool(chosen)
    client = connect(chosen.redis_url, timeout=chosen.redis_timeout)
    database = Database(client, chosen.key_prefix)
    durable = Durable(database, chosen.durability, chosen.redis_timeout)
    try:
        for advice in durable.check():
            log.warning("%s", advice)
        _check_keys(chosen, Submissions(database, durable))
        _check_installation(chosen, database)
    except NotOffered as error:
        raise SettingsError(f"{error} Or choose another DURABILITY (docs/durability.md).") from None
    except UNAVAILABLE as error:
        log.warning("Redis is not available (%s); going on without it", type(error).__name__)
    finally:
        client.close()


def _check_keys(chosen: Settings, submissions: Submissions) -> None:
    """A key that is gone too early turns good callbacks away."""
    known = {key.id for key in chosen.callback_keys} | set(chosen.callback_keys_withdrawn)
    missing = {key: count for key, count in submissions.open_keys().items() if key not in known}
    if missing:
        which = ", ".join(f"{key} (for {count})" for key, count in sorted(missing.items()))
        raise SettingsError(
            f"CALLBACK_KEYS lacks keys that signed the URLs of jobs that have not ended: {which}.\n"
            "Their callbacks would be refused. Put the keys back, behind the first one, until those jobs have ended; "
            "or, if they have leaked, name them in CALLBACK_KEYS_WITHDRAWN: then CI is asked about those jobs."
        )


def _check_installation(chosen: Settings, database: Database) -> None:
    """One that Redis has lost is no reason to take no callbacks."""
    if chosen.spool_dir:
        installation = Installation(database, chosen.spool_dir, chosen.redis_url)
        if (state := installation.state(make=False)) != "ok":
            log.error("%s. What to do: flask doctor", installation.explain(state))


def _check_spool(chosen: Settings) -> None:
    if chosen.spool_dir is None:
        return
    try:
        chosen.spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"SPOOL_DIR cannot be made: {chosen.spool_dir} ({error.strerror})") from None


def main() -> int:
    logs.configure("start")
    try:
        check(settings.load())
    except SettingsError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
