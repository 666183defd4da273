"""A built-in handler: after ``Success``, check in COS that each output that CI reports exists and has the same MD5.

Switched off with ``CHECK_OUTPUTS``. It asks with HEAD Object, whose ETag is the MD5 of an object put in one part.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from app.ci.report import Output, Report
from app.settings import Settings
from app.store import Event, Job
from app.store.runs.run import OUTPUTS_HANDLER
from workers import registry
from workers.registry import Function, GiveUp, Handler

if TYPE_CHECKING:
    from app.provider import Head, Provider
    from app.store import Store

log = logging.getLogger(__name__)

_GATHER_S = 2.0
"""How long jobs are collected before CI is asked about them: one request names many."""
_CHECK_S = 60.0
"""After this long no further object of a job is asked about, and its check is retried: COS is slow, or hangs."""
_MD5 = re.compile(r"[0-9a-f]{32}\Z")


def install(settings: Settings) -> None:
    """Register the handler, unless ``CHECK_OUTPUTS`` is off."""
    from app.provider import Provider
    from app.services import provider_config
    from app.store import Store

    if settings.check_outputs:
        store = Store.open(
            settings.redis_url, settings.key_prefix, timeout=10, trust_outputs=settings.trust_outputs
        )
        _register(_Checker(Provider(provider_config(settings)), store).check)


def install_for_list(settings: Settings) -> None:
    """As ``install``, for a process that runs no handler: neither the store nor Tencent's SDK is imported."""
    if settings.check_outputs:
        _register(_never_run)


def _never_run(event: Event, job: Job) -> None:
    raise AssertionError("this process only lists handlers")


def _register(check: Function) -> None:
    registry.add(
        Handler(
            name=OUTPUTS_HANDLER,
            function=check,
            tags=frozenset(),
            states=frozenset({"Success"}),
            tries=8,
            timeout=120,
            backoff=2,
            backoff_max=600,
            every_news=True,
        )
    )


class _Checker:
    def __init__(self, provider: Provider, store: Store) -> None:
        self._provider = provider
        self._store = store

    def check(self, event: Event, job: Job) -> None:
        """Raises ``ProviderError`` if COS cannot be asked (the run is retried), ``GiveUp`` if an output is wrong."""
        from app.store.outputs.checks import LOOKED_UP, place

        report = Report.from_dict(event.report)
        outputs = [each for each in report.outputs if each.bucket and each.region]
        if not outputs or not self._may_be_looked_up(report, job):
            return
        looked_up = outputs[:LOOKED_UP]
        heads = self._heads({place(each): each for each in looked_up})
        wrong = [fault for each in looked_up if (fault := _fault(each, heads[place(each)]))]
        found = {where: (head.size, head.etag) for where, head in heads.items() if head}
        is_all = len(looked_up) == len(outputs)
        self._store.checks.note(report, found, False if wrong else True if is_all else None)
        if wrong:
            # COS is strongly consistent: another try would see the same.
            raise GiveUp("; ".join(wrong)[:500])

    def _may_be_looked_up(self, report: Report, job: Job) -> bool:
        """Not if only a callback has named them: then CI is asked, and its answer starts this handler again."""
        if job.outputs_unchecked in {None, "too_many"}:
            return True
        answer = self._store.due.ask_outputs(report.job_id, report.digest, _GATHER_S)
        if answer == "asked":
            log.info(
                "job %s: asking CI whether it wrote these outputs before they are checked", report.job_id
            )
        return answer == "confirmed"

    def _heads(self, outputs: dict[str, Output]) -> dict[str, Head | None]:
        until = time.monotonic() + _CHECK_S
        heads: dict[str, Head | None] = {}
        for where, each in outputs.items():
            if time.monotonic() > until:
                raise TimeoutError(
                    f"COS answered for {len(heads)} of {len(outputs)} outputs in {_CHECK_S:g} s"
                )
            heads[where] = self._provider.head_object(each.bucket or "", each.region or "", each.object)
        return heads


def _fault(output: Output, head: Head | None) -> str | None:
    if head is None:
        return f"{output.bucket}/{output.object} is missing"
    etag = (head.etag or "").lower()
    # The ETag of a multipart upload is no MD5; it holds a hyphen.
    if output.md5 and _MD5.match(etag) and etag != output.md5.lower():
        return f"{output.bucket}/{output.object} is another file: its MD5 is {etag}, CI wrote {output.md5.lower()}"
    return None
