"""Grafana can import the dashboard, and each of its queries finds a series."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from harness.servers import ROOT, Emulator, Valkey, eventually
from tests import prometheus as installed
from tests.metrics.watched import ALERTS, Prometheus, Watched

FILE = ROOT / "deploy" / "grafana" / "dashboard.json"


class Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class Source(Part):
    type: Literal["prometheus"]
    uid: Literal["${datasource}"]


class Target(Part):
    refId: str = Field(pattern="^[A-Z]$")  # noqa: N815 - Grafana's word
    expr: str = Field(min_length=3)
    datasource: Source


class Place(Part):
    x: int = Field(ge=0, le=23)
    y: int = Field(ge=0)
    w: int = Field(ge=1, le=24)
    h: int = Field(ge=1)


class Panel(Part):
    """As Grafana's dashboard schema has it:
    https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/"""

    id: int
    type: Literal["row", "stat", "timeseries"]
    title: str = Field(min_length=1)
    gridPos: Place  # noqa: N815 - Grafana's word
    targets: list[Target] = []


class Variable(Part):
    name: str
    type: Literal["datasource", "query"]


class Templating(Part):
    list: list[Variable]


class Dashboard(Part):
    uid: str = Field(pattern="^[a-zA-Z0-9_-]{1,40}$")
    title: str
    schemaVersion: int = Field(ge=36)  # noqa: N815 - Grafana's word
    panels: list[Panel]
    templating: Templating


@pytest.fixture(scope="module")
def dashboard() -> Dashboard:
    return Dashboard.model_validate_json(FILE.read_text())


def test_the_panels_are_complete(dashboard: Dashboard) -> None:
    """No two share a place, each has a query, and each variable is defined."""
    assert len({panel.id for panel in dashboard.panels}) == len(dashboard.panels)
    cells = [
        (x, y)
        for panel in dashboard.panels
        for x in range(panel.gridPos.x, panel.gridPos.x + panel.gridPos.w)
        for y in range(panel.gridPos.y, panel.gridPos.y + panel.gridPos.h)
    ]
    assert len(cells) == len(set(cells))
    assert all(panel.targets for panel in dashboard.panels if panel.type != "row")
    known = {variable.name for variable in dashboard.templating.list} | {"__rate_interval", "__all"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(json.loads(FILE.read_text()))))
    assert used <= known


def test_every_query_and_every_alert_finds_its_series(
    dashboard: Dashboard, valkey: Valkey, emulator: Emulator, tmp_path: Path
) -> None:
    """A real Prometheus reads a real service: each selector matches, before any event."""
    if not installed.is_there():
        pytest.fail(installed.MISSING, pytrace=False)
    queries = [target.expr for panel in dashboard.panels for target in panel.targets]
    queries = [query.replace("$__rate_interval", "1m").replace("$job", ".*") for query in queries]
    queries += re.findall(r"^ +expr: '(.*)'$", ALERTS.read_text().replace("''", "'"), re.MULTILINE)
    with Watched(valkey, emulator, tmp_path, forward_urls="", spool_dir=tmp_path / "spool") as watched:
        # These need an endpoint, and a callback URL made by hand.
        absent = re.compile(r"ci_(deliveries|callback_url)_")
        with Prometheus(watched, tmp_path) as prometheus:
            eventually(lambda: len(prometheus.ask("up == 1")) == 3, "Prometheus to read all three")
            eventually(
                lambda: prometheus.ask('ci_handler_runs_total{handler="quick"}'), "the handlers to be known"
            )
            for query in queries:
                prometheus.ask(query)
                for selector in re.findall(r"(?:ci|process)_\w+(?:\{[^}]*\})?", query):
                    if not absent.match(selector):
                        # A scrape that took too long leaves a gap of one interval in each series.
                        eventually(partial(prometheus.ask, selector), f"{selector} in {query}")
