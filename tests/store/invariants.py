"""What must hold between any two commands of Redis: no job without its event, no index entry without its job."""

from __future__ import annotations

from typing import Any

from app.core.clock import to_ms
from app.redis.scripts import decoded, decoded_all
from app.store import Event, Store
from app.store.events.outbox import order
from app.store.jobs.index import label_names_at, names, names_at
from app.store.members import jobs_of, member_of


def broken_invariants(store: Store) -> list[str]:
    """Every contradiction between jobs, histories, events and indexes, in words; an empty list is right."""
    redis, key = store.db.client, store.db.key
    faults: list[str] = []
    ids, touched = redis.zrange(key("jobs"), 0, -1), redis.zrange(key("touched"), 0, -1)
    # The event of a failed submission has no job.
    everything = [e for e in _all_events(store) if e.job_id]
    events = {(e.job_id, e.event_id, e.entry) for e in everything}
    # What COS or CI says of outputs has no line in the history.
    unwritten = {
        (e.job_id, e.event_id, e.entry)
        for e in everything
        if e.kind in {"check", "overdue", "run_failed"} or (e.kind == "poll" and not e.runs_handlers)
    }
    trimmed_ms = _trimmed_until(store)
    for job_id in jobs_of(ids):
        row = redis.hmget(key("job", job_id), "idx", "entries", "labels")
        places, counted, labelled = map(decoded, row)
        lines, _ = store.jobs.history(job_id)
        untrimmed = [line for line in lines if (to_ms(line["at"]) or 0) > trimmed_ms]
        faults += [
            f"{job_id}: {fault}" for fault in _of_job(job_id, int(counted or 0), lines, events - unwritten)
        ]
        faults += [f"{job_id}: {fault}" for fault in _unannounced(job_id, untrimmed, events)]
        if not redis.lindex(key("record", job_id), 0):
            faults.append(f"{job_id} has no report")
        faults += [
            f"{job_id}: not in index {name}"
            for name in [*names_at(places or ""), *label_names_at(labelled or "")]
            if redis.zscore(key("index", name), member_of(job_id)) is None
        ]
    known = set(jobs_of(ids))
    faults += [f"an event of an unknown job: {job_id}" for job_id, _, _ in events if job_id not in known]
    faults += [f"a job that retention would not find: {job_id}" for job_id in known - set(jobs_of(touched))]
    return faults + _strays(store, known)


def _all_events(store: Store) -> list[Event]:
    """Also the packed ones: entries that every group has read are no longer in the stream itself."""
    found, position = list[Event](), "0-0"
    while (page := store.outbox.page(position, 500))[1] != position:
        found += [each.event for each in page[0]]
        position = page[1]
    return found


def _trimmed_until(store: Store) -> int:
    """Up to this time (ms) the outbox keeps no events."""
    is_gap, start = store.outbox.resume("0-0")
    return order(start)[0] if is_gap else -1


def _unannounced(job_id: str, lines: list[dict[str, Any]], events: set[tuple[str, str, int]]) -> list[str]:
    return [
        f"entry {line['entry']} has no event"
        for line in lines
        if line.get("event_id") and (job_id, line["event_id"], line["entry"]) not in events
    ]


def _of_job(
    job_id: str, counted: int, lines: list[dict[str, Any]], events: set[tuple[str, str, int]]
) -> list[str]:
    faults = []
    for line in lines:
        announced = line.get("event_id")
        if line["outcome"] in {"duplicate", "stale"} and announced and "doubt" not in line:
            faults.append(f"entry {line['entry']} is {line['outcome']} and has an event")
    entered = {(line["event_id"], line["entry"]) for line in lines if line.get("event_id")}
    faults += [f"event {e} has no entry" for j, e, n in events if j == job_id and (e, n) not in entered]
    if counted != len(lines):
        faults.append(f"{counted} entries counted, {len(lines)} kept")
    return faults


def _strays(store: Store, known: set[str]) -> list[str]:
    redis, key = store.db.client, store.db.key
    faults = []
    for index in decoded_all(redis.scan_iter(match=key("index", "*"), count=1000)):
        name = index.removeprefix(key("index", ""))
        for job_id in jobs_of(redis.zrange(index, 0, -1)):
            job = store.jobs.get(job_id)
            if job is None or name not in names(job.report, job.labels):
                faults.append(f"{job_id} stands in {name} without reason")
    faults += [
        f"{each} is due and unknown"
        for each in decoded_all(redis.zrange(key("due"), 0, -1))
        if each not in known
    ]
    for schedule in ("runs", "lookups"):
        ids = decoded_all(redis.zrange(key(schedule), 0, -1))
        there = {run.id for run in store.runs.many(ids)}
        faults += [f"{each} is in {schedule} and unknown" for each in ids if each not in there]
    return faults
