"""Writes the pages that are made of the code: ``make docs``. A test fails when they are out of date."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from pydantic_core import PydanticUndefined

from app.metrics import counted, stored
from app.settings import Settings
from app.web.problems import PROBLEMS
from docs.capacity import capacity_page
from docs.event_kinds import event_kinds_page
from docs.licences import licences_page
from docs.reference import api_page, commands_page
from docs.runbook import runbook_page

FOLDER = Path(__file__).parent

_SETTINGS = """# Settings

Made of `app/settings/settings.py` by `make docs`. Values come from the environment, from the file that `NAME_FILE`
names, or from `.env`; the earlier wins. A start with a missing or wrong setting stops with one message that names them
all.
Durations are seconds, or a number with `s`, `m`, `h` or `d`; sizes are bytes, or a number with `KiB`, `MiB` or `GiB`.

`make run` sets the required ones for everything that it starts, and `flask` commands in the same checkout find them
while it is up, unless you name a `REDIS_URL` of your own.

| name | default | what it is for |
| --- | --- | --- |
{rows}

The web process also reads `HOST` (127.0.0.1), `PORT` (8000), `WEB_CONCURRENCY` (2 processes) and gunicorn's own
`GUNICORN_CMD_ARGS`; `WAITING_MAX` it reads from the environment only.
"""

_PROBLEMS = """# Problems

Made of `app/web/problems.py` by `make docs`. Every error is `application/problem+json` (RFC 9457); `reason` is one of
these words, `type` is `/problems/<reason>`, and `detail` says what is wrong and what to do next.

| reason | status | meaning |
| --- | --- | --- |
{rows}
"""

_METRICS = """# Metrics

Made of `app/metrics` by `make docs`. `GET /metrics` of the web service has all of them in Prometheus' text format. It
asks for no key: let your proxy keep it from strangers. Relays and workers serve the part "in Redis", and the
`process_…` metrics of their own process, at `/metrics` of `METRICS_PORT`, if that is set:
`compose.yaml`, the Kubernetes files and the systemd units set it. `deploy/prometheus/prometheus.yml` reads all of them.

| name | type | labels | where | what |
| --- | --- | --- | --- | --- |
{rows}

Every series is there from the start, with 0. "web": counted by the processes of one web server together; take the
`sum` over servers. "in Redis": every process that serves it says the same; take the `max`. These survive each restart.
While Redis is away only `ci_redis_up` of them is there, with 0.

No label ever holds a job id, a path, a token or the name of a process. Of the URLs of `flask callback-url` there are at
most 50 names, those that expire first; a revoked URL is left out, and an expired one as soon as another of its name is
valid. `ci_redis_memory_…` need the right to `INFO`.

What is worth an alert is in `deploy/prometheus/alerts.yml`, and on a dashboard in `deploy/grafana/dashboard.json`: copy
both. Each alert leads to its paragraph in the [runbook](runbook.md).

![The dashboard: processes, callbacks, runs and deliveries, jobs, Redis](pictures/dashboard.svg)

The picture is drawn by `python -m docs.dashboard_picture` from what a Prometheus answered to the dashboard's own
queries, while a real stack was under load for some two minutes. Grafana draws the same panels in its own way.
"""


def settings_page() -> str:
    """``docs/settings.md``."""
    rows = []
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{name.upper()}` | {_default(field.default)} | {field.description} |")
    return _SETTINGS.format(rows="\n".join(rows))


def problems_page() -> str:
    """``docs/problems.md``."""
    rows = [f"| `{reason}` | {status} | {title} |" for reason, (status, title) in PROBLEMS.items()]
    return _PROBLEMS.format(rows="\n".join(rows))


def metrics_page() -> str:
    """``docs/metrics.md``."""
    here = [each for each in vars(counted).values() if isinstance(each, MetricWrapperBase)]
    families = [(family, each._labelnames) for each in here for family in each.describe()]
    families += [(family, getattr(family, "_labelnames")) for family in stored.FAMILIES]  # noqa: B009
    rows = [_metric(*each) for each in sorted(families, key=lambda each: each[0].name)]
    return _METRICS.format(rows="\n".join(rows))


def _metric(family: Metric, labels: Sequence[str]) -> str:
    where = "in Redis" if family.name in {each.name for each in stored.FAMILIES} else "web"
    name = f"{family.name}_total" if family.type == "counter" else family.name
    words = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {family.type} | {words} | {where} | {family.documentation} |"


PAGES = {
    "settings.md": settings_page,
    "problems.md": problems_page,
    "metrics.md": metrics_page,
    "capacity.md": capacity_page,
    "licences.md": licences_page,
    "commands.md": commands_page,
    "api.md": api_page,
    "event-kinds.md": event_kinds_page,
    "../app/pages/templates/docs/runbook.html": runbook_page,
}


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "**required**"
    if value is None or value == ():
        return "none"
    if isinstance(value, frozenset | tuple):
        return f"`{','.join(sorted(map(str, value), reverse=True))}`"
    return f"`{value}`"


if __name__ == "__main__":
    for page, make in PAGES.items():
        (FOLDER / page).write_text(make())
