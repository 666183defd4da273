"""Web processes are killed while they spool and while they drain; nothing that was answered 200 is lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

from app.spool import SUFFIX
from harness.servers import Service, Valkey, eventually, free_port
from harness.settings import make_settings
from tests.callbacks import Sender, path

SENDERS = 4


def kill_a_worker(service: Service, chosen: random.Random) -> None:
    """SIGKILL to one of gunicorn's workers; the master starts another."""
    workers = psutil.Process(service.web.pid).children()
    if workers:
        chosen.choice(workers).kill()


def test_nothing_is_lost_when_web_processes_die(tmp_path: Path) -> None:
    """Gunicorn's workers are killed while Redis is killed and restarted: every callback that was answered 200 is
    accepted once in its job's history, and made one event."""
    (tmp_path / "redis").mkdir()
    spool, chosen = tmp_path / "spool", random.Random(7)
    # Else the server may lose what it has acknowledged (appendfsync everysec).
    with Valkey(tmp_path / "redis", "--appendfsync", "always") as server:
        settings = make_settings(server.url, spool_dir=str(spool))
        with Service(settings, free_port(), tmp_path) as service:
            over = threading.Event()
            senders = [Sender(service.url + path(settings)) for _ in range(SENDERS)]
            threads = [
                threading.Thread(target=sender.send_while, args=(lambda: not over.is_set(),))
                for sender in senders
            ]
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            server.kill()
            for _ in range(5):
                time.sleep(0.5)
                kill_a_worker(service, chosen)
            # Redis stays away until enough callbacks are spooled, however slow this machine is.
            eventually(
                lambda: (
                    Counter(word for sender in senders for word in sender.answered.copy().values())["spooled"]
                    > 50
                ),
                "callbacks to be spooled",
            )
            server.start()
            for _ in range(5):
                time.sleep(0.3)
                kill_a_worker(service, chosen)
            over.set()
            for thread in threads:
                thread.join()
            eventually(lambda: not list(spool.glob(f"*{SUFFIX}")), "the spool to be drained")

            store = service.services.store
            said = {job_id: word for sender in senders for job_id, word in sender.answered.items()}
            assert Counter(said.values())["spooled"] > 50, "most of it went through the spool"
            for job_id, word in said.items():
                outcomes = [entry["outcome"] for entry in store.jobs.history(job_id)[0]]
                assert outcomes.count("accepted") == 1, (job_id, word, outcomes)
                assert set(outcomes) <= {"accepted", "duplicate"}, (job_id, outcomes)
            events = Counter(each.event.job_id for each in store.outbox.after("0", count=100_000))
            assert all(events[job_id] == 1 for job_id in said), "one event each"
