"""Built in: after ``Success``, look at COS whether the outputs that CI reports are really there, and the same."""

from __future__ import annotations

import re

from app.ci.job import Output, Report
from app.provider import Head, Provider
from app.services import provider_config
from app.settings import Settings
from app.store import Event, Job, Store
from app.store.checks import Checks, place
from workers import registry
from workers.registry import GiveUp, Handler

HANDLER = "check_outputs"
_MD5 = re.compile(r"[0-9a-f]{32}\Z")


def install(settings: Settings) -> None:
    """Make the handler known, unless ``CHECK_OUTPUTS`` is off."""
    if not settings.check_outputs:
        return
    store = Store.open(settings.redis_url, settings.key_prefix, timeout=10)
    checker = _Checker(Provider(provider_config(settings)), store.checks)
    registry.add(
        Handler(
            name=HANDLER,
            function=checker.check,
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
    def __init__(self, provider: Provider, checks: Checks) -> None:
        self._provider = provider
        self._checks = checks

    def check(self, event: Event, _job: Job) -> None:
        """Raises ``ProviderError`` where COS cannot be asked, which says nothing of the outputs: try again later."""
        report = Report.model_validate(event.report)
        outputs = [each for each in report.outputs if each.bucket and each.region]
        if not outputs:
            return
        heads = {place(each): self._head(each) for each in outputs}
        wrong = [fault for each in outputs if (fault := _fault(each, heads[place(each)]))]
        found = {where: (head.size, head.etag) for where, head in heads.items() if head}
        detail = "; ".join(wrong)[:500] or None
        self._checks.note(report, found, not wrong)
        if wrong:
            # COS reads what was written at once, so another look in a moment would see the same.
            raise GiveUp(detail)

    def _head(self, output: Output) -> Head | None:
        return self._provider.head_object(output.bucket or "", output.region or "", output.object)


def _fault(output: Output, head: Head | None) -> str | None:
    if head is None:
        return f"{output.bucket}/{output.object} is missing"
    etag = (head.etag or "").lower()
    # The ETag of an object that was put in parts is no MD5, and holds a hyphen.
    if output.md5 and _MD5.match(etag) and etag != output.md5.lower():
        return f"{output.bucket}/{output.object} is another file: its MD5 is {etag}, CI wrote {output.md5.lower()}"
    return None
