"""How many requests are worked on at the same time in one process, whatever the number of its threads.

Threads are cheap to hold for those who wait for a job, and there may be hundreds. But a hundred that all want to
compute take turns so slowly that answers from Redis seem to come too late. So requests queue here, and a request
that waits releases its slot meanwhile. Measured: docs/streams.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WORKING = 32


class Gate:
    """Lets ``places`` threads in; others wait their turn."""

    def __init__(self, places: int = WORKING) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._here = threading.local()

    def guard(self, application: WSGIApplication) -> WSGIApplication:
        """The application, each call of it inside. What it streams afterwards is outside."""

        def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            self._enter()
            try:
                return application(environ, start_response)
            finally:
                self._leave()

        return guarded

    @contextmanager
    def outside(self) -> Iterator[None]:
        """For the time of waiting; nothing changes for a thread that is not inside."""
        if not getattr(self._here, "inside", False):
            yield
            return
        self._leave()
        try:
            yield
        finally:
            self._enter()

    def _enter(self) -> None:
        self._places.acquire()
        self._here.inside = True

    def _leave(self) -> None:
        self._here.inside = False
        self._places.release()
