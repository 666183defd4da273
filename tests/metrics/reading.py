"""Reads a page of metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from harness.servers import eventually

Values = dict[tuple[str, ...], float]


def page_of(url: str) -> str:
    """The text at ``url``. Raises where no server answers."""
    answer = requests.get(f"{url}/metrics", timeout=60)
    answer.raise_for_status()
    return answer.text


def shows(page: Callable[[], str], true: Callable[[str], Any], what: str) -> str:
    """The first page for which ``true(page)`` holds. A page that is not served yet, and a sample that it lacks, are
    waited for."""

    def asked() -> str:
        try:
            text = page()
            return text if true(text) else ""
        except (requests.RequestException, KeyError):
            return ""

    found: str = eventually(asked, what)
    return found


def samples_of(page: str, name: str) -> Values:
    """The samples of that name, by the values of their labels."""
    families = text_string_to_metric_families(page)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in samples}


def names_of(page: str) -> set[str]:
    """All names of samples."""
    return {sample.name for family in text_string_to_metric_families(page) for sample in family.samples}


def risen(before: str, after: str, name: str) -> Values:
    """How much each sample of that name has grown between two pages, without those that have not changed."""
    old = samples_of(before, name)
    return {
        labels: value - old.get(labels, 0.0)
        for labels, value in samples_of(after, name).items()
        if value != old.get(labels, 0.0)
    }
