"""The files that a newcomer expects in a project agree with the code."""

from __future__ import annotations

import re

from app.core.processes import RELEASE
from harness.servers import ROOT

CHANGES = (ROOT / "CHANGELOG.md").read_text()


def test_the_newest_change_is_this_release() -> None:
    """The first heading of the change log is the release that package, processes and doctor name."""
    assert re.findall(r"^## (.+)$", CHANGES, re.MULTILINE)[0] == RELEASE


def test_each_release_says_first_what_an_operator_must_do() -> None:
    releases = re.split(r"^## ", CHANGES, flags=re.MULTILINE)[1:]
    assert releases
    for release in releases:
        headings = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert headings and headings[0] == "What an operator must do", release.partition("\n")[0]


def test_the_licence_is_the_one_that_the_project_names() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()


def test_every_make_target_of_the_contributing_page_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert named and named <= targets
