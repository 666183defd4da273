"""The docs as a site: built by the real generator, without broken links, and usable offline."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from docs import site

pytestmark = pytest.mark.xdist_group("site")  # All tests here use the folder build/.


@pytest.fixture(scope="module")
def built() -> Path:
    if importlib.util.find_spec("zensical") is None:
        pytest.fail("The site's generator is missing: `make site-generator` installs it (`make test` does).")
    return site.build()


@pytest.mark.timeout(300)
def test_every_page_is_on_the_site_and_in_its_search(built: Path) -> None:
    """The build is strict: it fails on a broken link."""
    pages = {name.removesuffix(".md") + ".html" for name in site.sources().values()}
    assert len(pages) > 20
    assert {str(page.relative_to(built)) for page in built.rglob("*.html")} >= pages
    found = {
        entry["location"].partition("#")[0]
        for entry in json.loads((built / "search.json").read_text())["items"]
    }
    assert pages <= found


def test_the_site_loads_nothing_from_elsewhere(built: Path) -> None:
    """No page loads a script, a style, a font or a picture from elsewhere."""
    for page in built.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link rel=\"stylesheet\")[^>]*(?:src|href)=\"([^\"]+)", page.read_text()
        )
        assert loaded, "each page has a style at least"
        assert [url for url in loaded if re.match("https?:|//", url)] == [], page.name


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    """The report names the page with the link, and the page and anchor that are missing."""
    (tmp_path / "a.html").write_text('<article><a href="b.html#there">x</a><a href="c.html">y</a></article>')
    (tmp_path / "b.html").write_text('<article><h2 id="here">z</h2></article>')
    assert sorted(site.lost(tmp_path)) == ["a.html links to b.html#there", "a.html links to c.html#"]
