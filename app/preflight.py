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

log = logging.getLogger(__name__)


def check(chosen: Settings) -> None:
    """Raises ``SettingsError`` where the settings ask for what is not there. A Redis that is away is no fault:
    callbacks can be spooled until it is back."""
    _check_spool(chosen)
    client = connect(chosen.redis_url, timeout=chosen.redis_timeout)
    durable = Durable(Database(client, chosen.key_prefix), chosen.durability, chosen.redis_timeout)
    try:
        for advice in durable.check():
            log.warning("%s", advice)
    except NotOffered as error:
        raise SettingsError(f"{error} Or choose another DURABILITY (docs/durability.md).") from None
    except UNAVAILABLE as error:
        log.warning("Redis is not available (%s); going on without it", type(error).__name__)
    finally:
        client.close()


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
