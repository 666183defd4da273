"""Metrics of callback URLs that belong to no submission."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from app.store.access.callback_urls import CallbackUrl

_NAMES, _LETTERS = 50, 64
"""Bounds of the label: number of names, and characters per name."""


def families(urls: Sequence[CallbackUrl], now: int) -> tuple[Metric, ...]:
    """Metrics by name. Revoked URLs are left out, and expired ones while another of their name is valid."""
    expiry, idle = callback_url_expiry(), callback_url_idle()
    named: defaultdict[str, list[CallbackUrl]] = defaultdict(list)
    for url in urls:
        if url.is_in_use:
            named[url.name[:_LETTERS]].append(url)
    for name, group in named.items():
        named[name] = [url for url in group if not url.has_expired(now)] or [max(group, key=_end)]
    ends = {name: min(_end(url) for url in group) for name, group in named.items()}
    for name in sorted(named, key=lambda name: (ends[name], name))[:_NAMES]:
        expiry.add_metric([name], (ends[name] - now) / 1000)
        latest = max(url.used or url.created for url in named[name])
        idle.add_metric([name], max(0.0, (now - latest) / 1000))
    return expiry, idle


def callback_url_expiry() -> GaugeMetricFamily:
    documentation = (
        "Seconds until the callback URL of that name expires (of several, the first); +Inf if none does"
    )
    return GaugeMetricFamily("ci_callback_url_expires_seconds", documentation, labels=["name"])


def callback_url_idle() -> GaugeMetricFamily:
    documentation = (
        "Seconds since a callback URL of that name was last used, or was created if it was never used"
    )
    return GaugeMetricFamily("ci_callback_url_idle_seconds", documentation, labels=["name"])


def _end(url: CallbackUrl) -> float:
    return url.expires or math.inf
