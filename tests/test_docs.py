"""Pages that are made of the code are up to date; what the docs name exists."""

from __future__ import annotations

import re

import pytest

from docs.generate import FOLDER, PAGES
from harness.servers import ROOT


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_up_to_date(page: str) -> None:
    """After a change of a setting or a problem: ``make docs``."""
    assert (FOLDER / page).read_text() == PAGES[page](), "run `make docs`"


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted(FOLDER.glob("*.md")), ids=lambda p: p.name
)
def test_links_between_pages_lead_somewhere(path: object) -> None:
    """Every relative link in the docs names a file of the repository."""
    assert isinstance(path, type(ROOT))
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_requirement_is_accounted_for() -> None:
    """Each line of the hand-written lists has its sentence in docs/decisions.md."""
    decisions = (FOLDER / "decisions.md").read_text()
    for name in ("requirements.in", "requirements-dev.in"):
        for line in (ROOT / name).read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                assert f"`{re.split('[<=; ]', line)[0]}`" in decisions, f"{line} in {name} is in no decision"
