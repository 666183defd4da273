"""The runbook: each alert links to one of its sections, and its commands are run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.settings import Settings
from docs.runbook import anchor
from harness.servers import ROOT, Service
from tests.docs.conftest import Follow
from tests.docs.console import blocks

RUNBOOK = ROOT / "docs" / "runbook.md"
SECTIONS = {
    section.partition("\n")[0]: section
    for section in re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
}
GENERAL = {"Start here", "By message", "Other tasks"}


def alerts() -> dict[str, str]:
    """Each alert of the rules, with the address that it links to."""
    found = {}
    for file in (ROOT / "deploy").rglob("*.y*ml"):
        for rule in re.split(r"^\s*- alert:", file.read_text(), flags=re.MULTILINE)[1:]:
            link = re.search(r"runbook_url:\s*[\"']?([^\s\"']+)", rule)
            found[rule.split()[0]] = link[1] if link else ""
    return found


ANCHORS = set(map(anchor, SECTIONS))


def test_every_alert_has_its_section() -> None:
    """The anchor is the alert's name in lower case with hyphens, and the alert's own link ends with it."""
    assert len(alerts()) > 20
    for name, url in alerts().items():
        expected = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
        assert expected in ANCHORS, f"the alert {name} has no section {expected!r} in docs/runbook.md"
        assert url.endswith(f"runbook.md#{expected}") or url.endswith(f"runbook/#{expected}"), (name, url)


@pytest.mark.parametrize("heading", sorted(SECTIONS.keys() - GENERAL))
def test_a_section_says_what_it_means_and_what_to_do(heading: str) -> None:
    """Each section, except the general ones, has "You see", "For callbacks", "Do" and commands."""
    section = SECTIONS[heading]
    assert all(f"\n{word}: " in section for word in ("You see", "For callbacks", "Do")), heading
    assert "```console" in section, heading


@pytest.mark.timeout(600)
def test_every_command_of_the_runbook_runs(
    follow: Follow, deployed: Settings, tmp_path: Path, environment: Callable[[Settings], dict[str, str]]
) -> None:
    """On a healthy service with real Redis, workers and relay each command succeeds and prints what is shown."""
    settings = deployed.model_copy(update={"spool_dir": tmp_path / "spool"})
    port = int((settings.public_url or "").rpartition(":")[2])
    with Service(settings, port, tmp_path, WEB_CONCURRENCY="1"):
        count = follow("runbook.md", settings=settings)
    shown = [block for block in blocks(RUNBOOK) if not block.is_run]
    assert count > 30
    assert len(shown) == 1, "what is not run needs a reason and a test elsewhere"
