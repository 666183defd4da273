"""How a relay and a worker start: settings are read and checked, and handlers imported, before anything else."""

from __future__ import annotations

import sys

from app import settings
from app.core import logs, traces
from app.doctor import preflight
from app.redis.outage import OUTAGE
from app.settings import Settings, SettingsError
from workers import check_outputs, registry

_AFFECTED = {
    "relay": "events make no runs, nothing is delivered, and CI is not asked",
    "worker": "no handler starts; results are recorded when Redis is back",
}


def checked_settings(process: str) -> Settings:
    """Configure logs for ``process``, check the settings and Redis, import handlers, and return the settings.

    If something is wrong, one message on standard error names every fault, and ``SystemExit`` is raised.
    """
    logs.configure(process)
    try:
        chosen = settings.load()
        logs.configure(process, chosen.log_format, chosen.log_level)
        registry.import_handlers(chosen.handlers)
        registry.warn_of_doubtful_tags()
        check_outputs.install(chosen)
        preflight.check_start(chosen)
    except SettingsError as error:
        sys.stderr.write(f"{error.message}\n")
        raise SystemExit(error.exit_code) from None
    OUTAGE.affects = _AFFECTED.get(process, "")
    preflight.ignore_reload()
    traces.prepare()
    return chosen
