"""Sending callbacks: one POST, its outcome, and when to try again."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import requests

from emulator.callbacks.outbox import Outgoing, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.callbacks.outbox import Outbox
    from emulator.settings import Settings

log = logging.getLogger(__name__)

WORKERS = 16
_TYPES = {"XML": "application/xml", "JSON": "application/json"}


def post(
    url: str, body: bytes, form: str, timeout: float, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Send one callback as CI does: a POST, no redirect followed. Returns `{"at", "status", "error"}`; `at` is in
    Unix seconds, and either `status` or `error` is null."""
    attempt: dict[str, Any] = {"at": time.time(), "status": None, "error": None}
    try:
        with requests.Session() as session:
            session.trust_env = False  # ignore proxies from the environment, which cannot reach loopback
            answer = session.post(
                url,
                data=body,
                headers={"Content-Type": _TYPES[form], "User-Agent": "ci-emulator", **(headers or {})},
                timeout=timeout,
                allow_redirects=False,
            )
        attempt["status"] = answer.status_code
    except (requests.RequestException, ValueError) as fault:
        # The text of the exception contains the URL with its token, so only the type is stored.
        attempt["error"] = type(fault).__name__
    return attempt


class Delivery:
    """Threads that send the due callbacks of the outbox. Anything but a 200 is retried, as the settings say."""

    def __init__(self, outbox: Outbox, settings: Callable[[], Settings], wake: Callable[[], None]) -> None:
        self._outbox = outbox
        self._settings = settings
        self._wake = wake
        self._todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._claimed: set[int] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        for number in range(WORKERS):
            threading.Thread(target=self._work, name=f"delivery-{number}", daemon=True).start()

    def dispatch(self, now: float) -> None:
        """Queue the due callbacks for the threads, each of them once."""
        for callback_id in self._outbox.due(now):
            with self._lock:
                if callback_id in self._claimed:
                    continue
                self._claimed.add(callback_id)
            self._todo.put(callback_id)

    def _work(self) -> None:
        while True:
            callback_id = self._todo.get()
            try:
                self.attempt(callback_id)
            except Exception:
                log.exception("callback %d could not be sent", callback_id)
            finally:
                with self._lock:
                    self._claimed.discard(callback_id)
                self._wake()

    def attempt(self, callback_id: int) -> None:
        """Send one now and record the outcome."""
        one = self._outbox.get(callback_id)
        if one is None or one.status not in {"due", "held"}:
            return
        settings = self._settings()
        attempt = post(one.url, one.body, one.format, settings.callback_timeout)
        status, due = _next(one, attempt, settings)
        self._outbox.attempted(one, attempt, status, due)
        outcome = attempt["status"] or attempt["error"]
        log.info(
            "callback %d of %s %s to %s: %s", one.id, one.job_ids, one.state, fingerprint(one.url), outcome
        )


def _next(one: Outgoing, attempt: dict[str, Any], settings: Settings) -> tuple[str, float | None]:
    if attempt["status"] == 200:
        return "sent", None
    if len(one.attempts) < settings.retry_times:
        return "due", time.time() + settings.retry_every
    return "gave_up", None
