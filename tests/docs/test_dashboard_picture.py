"""The picture of the dashboard shows the current dashboard."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest

from docs.dashboard_picture import DASHBOARD, FILE, draw, said_in

PANELS = json.loads(DASHBOARD.read_text())["panels"]
SVG = "{http://www.w3.org/2000/svg}"


def titles(picture: str) -> list[str]:
    """The titles of panels and rows."""
    root = ElementTree.fromstring(picture)  # noqa: S314 - ours
    return [str(text.text) for text in root.iter(f"{SVG}text") if text.get("class") in {"title", "head"}]


def test_the_picture_shows_each_panel_in_its_order() -> None:
    """After a change of the dashboard, run `python -m docs.dashboard_picture`."""
    assert titles(FILE.read_text()) == [panel["title"] for panel in PANELS]


def test_most_panels_of_the_picture_have_data() -> None:
    shown = FILE.read_text()
    assert shown.count("no data") <= 2 and shown.count("<polyline") > 20


def test_each_series_is_a_line_within_its_panel() -> None:
    """Also a series that is always 0, and a series of one point."""
    panel = next(each for each in PANELS if each["type"] == "timeseries")
    series = {
        panel["id"]: [
            ("a<b", [(0.0, 5.0), (2.0, 10.0)]),
            ("zero", [(0.0, 0.0), (2.0, 0.0)]),
            ("one", [(1.0, 3.0)]),
        ]
    }
    picture = draw([panel], series)
    assert titles(picture) == [panel["title"]] and "a&lt;b" in picture
    found = re.findall(r'points="([^"]*)"', picture)
    assert len(found) == 3
    for x, y in (map(float, each.split(",")) for points in found for each in points.split()):
        assert 0 <= x <= panel["gridPos"]["w"] * 50 and 0 <= y <= panel["gridPos"]["h"] * 24


@pytest.mark.parametrize(
    ("unit", "value", "said"),
    [
        ("bytes", 3 * 2**20, "3 MiB"),
        ("bytes", 0, "0 B"),
        ("s", 0.25, "250 ms"),
        ("s", 90, "90 s"),
        ("reqps", 2.5, "2.5/s"),
        ("short", 7, "7"),
        ("short", 3480, "3,480"),
    ],
)
def test_a_value_is_shown_in_its_unit(unit: str, value: float, said: str) -> None:
    assert said_in(unit, value) == said
