"""Pages that are generated from the code are up to date; files that the docs name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.sections import accept, idle, memory, reads
from bench.table import row, write
from docs import measured
from docs.generate import FOLDER, PAGES
from harness.servers import ROOT


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_up_to_date(page: str) -> None:
    """The page is what ``make docs`` writes now."""
    assert (FOLDER / page).read_text() == PAGES[page](), "run `make docs`"


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link in the docs names a file of the repository."""
    links = [
        (path, target)
        for path in (*ROOT.glob("*.md"), *FOLDER.rglob("*.md"))
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", path.read_text())
    ]
    assert len(links) > 100
    assert [(path.name, target) for path, target in links if not (path.parent / target).exists()] == []


def test_files_that_a_page_names_exist() -> None:
    """Each path or pattern in backquotes matches a file; docs/decisions.md and the change log may name removed ones."""
    pages = {*ROOT.glob("*.md"), *FOLDER.rglob("*.md"), *(ROOT / "app").rglob("*.md")}
    folders = {each.name for each in ROOT.iterdir() if each.is_dir()} - {"build", "var"}
    found = {
        (page.name, named)
        for page in pages - {FOLDER / "decisions.md", ROOT / "CHANGELOG.md"}
        for named in re.findall(r"`([a-z_]+/[\w./*-]+)`", page.read_text())
        if named.partition("/")[0] in folders
    }
    assert len(found) > 50
    assert {(page, named) for page, named in found if not list(ROOT.glob(named.rstrip("/.")))} == set()


def test_every_requirement_is_accounted_for() -> None:
    """docs/decisions.md names each package of the hand-written lists."""
    decisions = (FOLDER / "decisions.md").read_text()
    lines = [
        line
        for name in ("requirements.in", "requirements-dev.in", "requirements-traces.in")
        for line in (ROOT / name).read_text().splitlines()
        if line and not line.startswith(("#", "-r"))
    ]
    assert len(lines) > 30
    assert [line for line in lines if f"`{re.split('[<=; ]', line)[0]}`" not in decisions] == []


def test_pages_take_over_what_was_measured_and_keep_the_rest(tmp_path: Path) -> None:
    """A measurement replaces the figures of its own sections only, and a section that no page uses is dropped."""
    new, kept = tmp_path / "bench.json", tmp_path / "measured.json"
    write(
        [row("idle: all", "memory", [220.0], "MiB"), row("reading (µs)", "a job", [800.0, 900.0], "µs")], new
    )
    measured.take_over(new, kept, measured.SECTIONS)
    write([row("idle: all", "memory", [200.0], "MiB"), row("of no page", "x", [1.0], "")], new)
    measured.take_over(new, kept, measured.SECTIONS)
    table = measured.table(kept)
    assert table.row(measured.IDLE, "memory").value == 200.0
    assert table.row(measured.READ, "a job").value == 850.0
    with pytest.raises(measured.NotMeasured, match="make bench"):
        table.row("of no page", "x")


def test_the_sections_that_pages_use_are_those_of_the_bench() -> None:
    """Each name is the beginning of a section name of the bench; otherwise pages would keep old figures."""
    named = (
        accept._SECTION,
        reads._SECTION,
        idle._SECTION,
        memory.section_of("submitted"),
        memory.section_of("called back"),
    )
    assert measured.SECTIONS
    for each in measured.SECTIONS:
        assert [name for name in named if name.startswith(each)], each
