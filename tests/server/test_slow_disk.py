"""A disk that is slow to sync delays only the callbacks that it stores."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import requests

from harness.servers import Valkey, Web, free_port
from harness.settings import make_settings
from tests.receiver.callbacks import a_token, body, post

SYNC_S = 3
SLOW_DISK = f"""
import os
from time import sleep
sync = os.fsync
def slow(file):
    sleep({SYNC_S})
    sync(file)
os.fsync = slow
"""


def test_others_are_served_while_the_disk_syncs(tmp_path: Path) -> None:
    """While Redis is away and a callback is spooled to the slow disk, other requests are answered."""
    (tmp_path / "redis").mkdir()
    (tmp_path / "sitecustomize.py").write_text(SLOW_DISK)
    with Valkey(tmp_path / "redis") as server:
        settings = make_settings(server.url, spool_dir=str(tmp_path / "spool"))
        python = {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(Path.cwd())))}
        with Web(settings, free_port(), tmp_path, WEB_CONCURRENCY="1", **python) as web:
            server.kill()
            answered: list[int] = []

            def send() -> None:
                answered.append(post(web.url, a_token(settings), body()).status_code)

            sender = threading.Thread(target=send)
            sender.start()
            served = 0
            while not answered:
                assert requests.get(f"{web.url}/healthz", timeout=SYNC_S * 10).ok
                served += 1
            sender.join()
    assert answered == [200]
    assert served > 5, "each would have waited for a sync"
