"""An RQ worker: ``python -m workers.worker``."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from rq import Worker
from rq.serializers import JSONSerializer

from app import logs, settings
from app.store import UNAVAILABLE, Store, connect
from workers import check_outputs, registry, tasks
from workers.queue import queue

log = logging.getLogger(__name__)


def _present(store: Store) -> None:
    """Say that this worker is there. A thread of the parent: it goes on while a fork is at work."""
    pause = threading.Event()
    while True:
        try:
            store.presence.here("worker")
        except UNAVAILABLE:
            log.warning("Redis is away")
        pause.wait(4.0)


def main() -> int:
    logs.configure("worker")
    logging.getLogger("rq").setLevel(logging.WARNING)
    try:
        chosen = settings.load()
        registry.load(chosen.handlers)
        check_outputs.install(chosen)
    except settings.SettingsError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    store = Store.open(chosen.redis_url, chosen.key_prefix, timeout=10)
    tasks.use(store)
    # RQ blocks on its connection on purpose, so that one has no time-out.
    connection = connect(chosen.redis_url, timeout=None)
    threading.Thread(target=_present, args=(store,), daemon=True).start()
    options: dict[str, Any] = {"worker_ttl": 30, "maintenance_interval": 30, "job_monitoring_interval": 10}
    worker = Worker(
        [queue(chosen, connection)],
        connection=connection,
        serializer=JSONSerializer,
        log_job_description=False,
        **options,
    )
    log.info("ready")
    worker.work(logging_level="WARNING", with_scheduler=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
