"""What /metrics says of callback URLs that were made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from prometheus_client.core import Metric

from app import metrics
from app.store.callback_urls import CallbackUrl

_NAMES, _LETTERS = 50, 64
"""Bounds of the label: so many names, of so many characters."""


def families(urls: Sequence[CallbackUrl], now: int) -> tuple[Metric, ...]:
    """By name. Revoked URLs are left out, and expired ones while another of their name is valid."""
    expiry, idle = metrics.callback_url_expiry(), metrics.callback_url_idle()
    in_use = [url for url in urls if url.is_in_use]
    named = {name: _that_count(in_use, name, now) for name in {_label(url) for url in in_use}}
    ends = {name: min(_end(url) for url in group) for name, group in named.items()}
    for name in sorted(named, key=lambda name: (ends[name], name))[:_NAMES]:
        expiry.add_metric([name], (ends[name] - now) / 1000)
        latest = max(url.used or url.created for url in named[name])
        idle.add_metric([name], max(0.0, (now - latest) / 1000))
    return expiry, idle


def _that_count(urls: Sequence[CallbackUrl], name: str, now: int) -> list[CallbackUrl]:
    group = [url for url in urls if _label(url) == name]
    return [url for url in group if not url.has_expired(now)] or [max(group, key=_end)]


def _label(url: CallbackUrl) -> str:
    return url.name[:_LETTERS]


def _end(url: CallbackUrl) -> float:
    return url.expires or math.inf
