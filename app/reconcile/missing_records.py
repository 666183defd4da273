"""A loop of the relay: submitted jobs whose record Redis has lost are restored from CI's answer."""

from __future__ import annotations

import logging
import threading

from app.provider import ProviderError, Throttled
from app.reconcile.describe import restore
from app.services import Services

log = logging.getLogger(__name__)


class Audit:
    """Walks over all submissions, newest first, again and again, and asks CI about jobs without a record.

    Records are missing after Redis lost its last second of writes, or after someone deleted too much.
    """

    _STEP = 200
    _PAUSE_S = 10.0

    def __init__(self, services: Services) -> None:
        self._services = services
        self._before = float("inf")

    def step(self, stopping: threading.Event) -> None:
        """Check the newest submissions and some of the others; then wait."""
        submissions = self._services.store.submissions
        newest = submissions.page(float("inf"), 50)
        others = submissions.page(self._before, self._STEP)
        self._before = others[-1][1] if len(others) == self._STEP else float("inf")
        for each in submissions.without_record(list(dict.fromkeys(id_ for id_, _ in newest + others))):
            self._restore(each)
        stopping.wait(self._PAUSE_S)

    def _restore(self, submission_id: str) -> None:
        submission = self._services.store.submissions.get(submission_id)
        if submission is None or not submission.job_ids:
            return
        try:
            if restore(self._services, submission):
                log.warning("restored the lost job records of submission %s", submission_id)
        except Throttled as error:
            self._services.store.due.slow_down(error.retry_after)
        except ProviderError as error:
            log.warning("could not restore the lost job records of submission %s: %s", submission_id, error)
