"""Makes ``capacity.md`` of the bench's table, so that its sums cannot drift from each other or from what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from docs import measured
from docs.measured import MeasuredRow

DAY_S = 86_400
PEAK = 5
"""The busiest hour against the mean of the day: an assumption, and the first to replace by your own."""
BUSY = 0.6
"""The share of a core that is planned for: beyond it, queues grow."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the bench's table, what it means here, and the section of ``python -m bench`` that measures it."""

    row: MeasuredRow
    what: str
    section: str

    @property
    def value(self) -> float:
        return self.row.value

    @property
    def unit(self) -> str:
        return self.row.unit


_TABLE = measured.table()


def _figure(section: str, row: str, what: str, command: str) -> Figure:
    return Figure(_TABLE.row(section, row), what, command)


ACCEPT = _figure(measured.ACCEPT, "ours", "one callback: processor of web and store together", "accept")
SCRIPT = _figure(measured.ACCEPT, "ours: of it, accept.lua", "of it, the script in Redis", "accept")
READ = _figure(measured.READ, "a job", "`GET /v1/jobs/<id>`: web and store", "reads")
SUBMITTED = _figure(measured.SUBMITTED, "used_memory", "Redis memory of a submitted job", "memory")
CALLED = _figure(
    measured.CALLED, "used_memory", "Redis memory of one that only a callback has reported", "memory"
)
IDLE = _figure(
    measured.IDLE, "memory, shared pages divided (PSS)", "all processes of one host, idle (PSS)", "idle"
)
FIGURES = (ACCEPT, SCRIPT, READ, SUBMITTED, CALLED, IDLE)

BYTES = {name: round(size) for name, size in _TABLE.parts(measured.SUBMITTED).items()}
"""A submitted job's bytes by kind of key (KEYS.md)."""

CALLBACKS_A_JOB = 2
"""A running and a final one; CI sends the first only where the queue is set so."""
KEPT_DAYS = 90
REDIS_GB = 64
"""The largest Redis that we plan with: a fork for a snapshot, a resynchronization and a restart stay within minutes."""

_TEMPLATE = """# What it carries

Made by `make docs` of rows of the bench's own table (`docs/measured.json`), so that every sum follows what was measured: here on a
machine with {cores} cores and a load of {load:.0f} beside. On yours: `make bench`, `python -m docs.measured`, `make docs`.

| figure | value | section of `make bench` |
| --- | --- | --- |
{figures}

Assumed: {callbacks} callbacks a job, a busiest hour with {peak} times the mean, cores planned to {busy:.0%}, jobs kept {days} days
(`RETENTION_JOBS`). Handlers are your own code and are not in here: count their seconds beside.

## One core, one Redis, ten hosts

| | sum | result |
| --- | --- | --- |
{units}

Redis runs scripts on one core, so its processor is the bound of one Redis, and its memory is the bound much earlier.

## By jobs a day

| jobs a day | callbacks a second, mean; busiest hour | cores for callbacks | busy share of one Redis | Redis memory for {days} days | first bottleneck | what to do |
| --- | --- | --- | --- | --- | --- | --- |
{days_table}

`fsync` and `replicated` ([durability.md](durability.md)) add waiting, not processor; web processes are gevent and wait cheaply. Jobs that leave
the 7 days of `RETENTION_RAW` lose their body ({body} bytes each in memory), so the memory above is an upper bound by {body_share:.0%}.

## Several installations share the load

The unit is a bucket: everything about a job stands in one installation, and no installation asks another.

1. Give each installation its own Redis, its own `KEY_PREFIX` (so that two may share one Redis while you move), its own
   `CALLBACK_KEYS` and `PUBLIC_URL` (a path prefix on one host name will do), and its buckets in `COS_BUCKET` and `COS_BUCKETS`.
2. A submission goes to the installation of its bucket; its callback URL leads back there by itself.
3. A bucket's queue in CI's console gets a URL of `flask callback-url` of that installation.
4. Who looks a job up by its id must know the bucket, or ask each installation: there is no common index, on purpose.

A bucket that alone is too large for one Redis is split by giving part of its producers another installation: callback URLs
belong to submissions, not to buckets.

## What the bytes of a job are

```mermaid
pie showData title Bytes of a submitted job, by kind of key
{pie}
```

[memory.md](memory.md) has what is in each. What no kind of key has ({rest} of {total} bytes) are the server's own tables of keys and lives.
"""


def capacity_page() -> str:
    """``docs/capacity.md``."""
    total, parts = int(SUBMITTED.value), sum(BYTES.values())
    return _TEMPLATE.format(
        figures="\n".join(
            f"| {each.what} | {each.value:,.0f} {each.unit} | `{each.section}` |" for each in FIGURES
        ),
        cores=_TABLE.machine.cores,
        load=_TABLE.machine.load,
        callbacks=CALLBACKS_A_JOB,
        peak=PEAK,
        busy=BUSY,
        days=KEPT_DAYS,
        units="\n".join(f"| {what} | {sums} | {result} |" for what, sums, result in _units()),
        days_table="\n".join(_day(jobs) for jobs in (10_000, 1_000_000, 100_000_000)),
        body=BYTES["body"],
        body_share=BYTES["body"] / total,
        pie="\n".join(f'    "{name}" : {size}' for name, size in BYTES.items()),
        rest=total - parts,
        total=f"{total:,}",
    )


def _units() -> list[tuple[str, str, str]]:
    core = 1e6 / ACCEPT.value
    redis = 1e6 / SCRIPT.value * BUSY
    fits = REDIS_GB * 1e9 / SUBMITTED.value
    hosts = 10 * 4 * core * BUSY
    return [
        ("callbacks a second that one core takes", f"1,000,000 / {ACCEPT.value:,.0f} µs", f"{core:,.0f}"),
        ("callbacks a second of one Redis", f"1,000,000 / {SCRIPT.value:,.0f} µs x {BUSY}", f"{redis:,.0f}"),
        (
            f"jobs in a Redis of {REDIS_GB} GB",
            f"{REDIS_GB} GB / {SUBMITTED.value:,.0f} bytes",
            f"{fits / 1e6:,.1f} million, {fits / KEPT_DAYS / 1e3:,.0f} thousand a day for {KEPT_DAYS} days",
        ),
        (
            "ten hosts with four cores each",
            f"40 x {core:,.0f} x {BUSY}, but at most one Redis' {redis:,.0f}",
            f"{min(hosts, redis):,.0f} callbacks a second with one Redis, {hosts:,.0f} with enough of them",
        ),
        (
            "memory of ten hosts without load",
            f"10 x {IDLE.value:,.0f} MiB",
            f"{10 * IDLE.value / 1024:,.1f} GiB",
        ),
    ]


def _day(jobs: int) -> str:
    mean = jobs * CALLBACKS_A_JOB / DAY_S
    busiest = mean * PEAK
    cores = busiest * ACCEPT.value / 1e6 / BUSY
    share = busiest * SCRIPT.value / 1e6
    memory = jobs * KEPT_DAYS * SUBMITTED.value / 1e9
    bottleneck, advice = _advice(cores, share, memory)
    return f"| {jobs:,} | {mean:,.1f}; {busiest:,.0f} | {cores:,.2f} | {share:.1%} | {memory:,.1f} GB | {bottleneck} | {advice} |"


def _advice(cores: float, share: float, memory: float) -> tuple[str, str]:
    """What is exhausted first, and what to buy then."""
    if memory <= REDIS_GB / 8 and cores <= 1:
        return (
            "none: your handlers come first",
            "one small host; a second one only to survive the loss of the first",
        )
    redis = max(1, -(-memory // REDIS_GB), -(-share // BUSY))
    if memory / REDIS_GB >= share / BUSY:
        kept = f"{redis:,.0f} Redis of {REDIS_GB} GB, each an installation with its share of the buckets"
        return (
            "memory of Redis",
            f"first ask what {KEPT_DAYS} days are for: a tenth of the days is a tenth of it; else {kept}",
        )
    return "processor of Redis", f"{redis:,.0f} installations, each with its share of the buckets"
