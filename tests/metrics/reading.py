"""Reads a page of metrics."""

from __future__ import annotations

import requests
from prometheus_client.parser import text_string_to_metric_families

Values = dict[tuple[str, ...], float]


def page_of(url: str) -> str:
    """The text at ``url``, or nothing while no server answers there."""
    try:
        answer = requests.get(f"{url}/metrics", timeout=10)
    except requests.RequestException:
        return ""
    return answer.text if answer.ok else ""


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
