"""Writes the pages that are made of the code: ``make docs``. A test fails when they are out of date."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from pydantic_core import PydanticUndefined

from app.settings import Settings
from app.web import metrics
from app.web.problems import PROBLEMS
from docs.capacity import capacity_page
from docs.reference import api_page, commands_page

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

Made of `app/web/metrics.py` by `make docs`. `GET /metrics` has them in Prometheus' text format, for all processes of
one web server together. It asks for no key: let your proxy keep it from strangers.

| name | type | labels | what |
| --- | --- | --- | --- |
{rows}

No label ever holds a job id, a path, a token or the name of a process. The deliveries are counted in Redis, for the
endpoints in `FORWARD_URLS` only, and so are the open refusals, so every web server tells the same numbers: take their
`max`, not their `sum`. The same holds for the URLs of `flask callback-url`: at most 50 names, those that expire first;
a revoked URL is left out, and an expired one as soon as another of its name is valid. While Redis is away none of these
are there.

Worth an alert: `ci_spool_bytes` that does not go down, `ci_spool_set_aside` and `ci_installation_lost` above 0,
`ci_callbacks_total{{outcome="spooled"}}` and
`ci_refusals_total{{reason="store_unavailable"}}` that grow, and `ci_deliveries_total{{outcome="failed"}}`: each of
these is a [failure](failures.md) to look at. `ci_runs_due_age_seconds` that stays above a minute says that
workers, or COS, are too slow. So is `ci_refusals_open` above 0, for [refusals](refusals.md).
And `ci_callback_url_expires_seconds < 14 * 86400`: a queue's URL is about to expire.
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
    here = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    families = [family for each in here for family in each.describe()]
    labels = {family.name: each._labelnames for each in here for family in each.describe()}
    for other in (
        metrics.deliveries(),
        metrics.deliveries_waiting(),
        metrics.runs_due(),
        metrics.runs_due_age(),
        metrics.lane_runs_due(),
        metrics.lane_runs_due_age(),
        metrics.refusals(),
        metrics.refusals_bytes(),
        metrics.callback_url_expiry(),
        metrics.callback_url_idle(),
    ):
        families.append(other)
        labels[other.name] = other._labelnames
    rows = [_metric(each, labels[each.name]) for each in sorted(families, key=lambda each: each.name)]
    return _METRICS.format(rows="\n".join(rows))


def _metric(family: Metric, labels: Sequence[str]) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    words = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {family.type} | {words} | {family.documentation} |"


PAGES = {
    "settings.md": settings_page,
    "problems.md": problems_page,
    "metrics.md": metrics_page,
    "capacity.md": capacity_page,
    "commands.md": commands_page,
    "api.md": api_page,
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
