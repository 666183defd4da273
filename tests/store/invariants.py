"""What must hold between any two commands of Redis: no job without its event, no index entry without its job."""

from __future__ import annotations

import json
from typing import Any

from app.redis.scripts import decoded_all, text_map
from app.store import Store
from app.store.jobs.index import names


def broken_invariants(store: Store) -> list[str]:
    """Every contradiction between jobs, histories, events and indexes, in words; none is how it must be."""
    redis, key = store.db.client, store.db.key
    faults: list[str] = []
    pipe = redis.pipeline()
    pipe.zrange(key("jobs"), 0, -1)
    pipe.xrange(key("events"))
    pipe.zrange(key("touched"), 0, -1)
    ids, stream, touched = pipe.execute()
    events = {
        (e["job_id"], e["event_id"], int(e["entry"])) for e in (text_map(fields) for _, fields in stream)
    }
    for job_id in decoded_all(ids):
        job = text_map(redis.hgetall(key("job", job_id)))
        lines = [json.loads(line) for line in redis.lrange(key("history", job_id), 0, -1)]
        faults += [f"{job_id}: {fault}" for fault in _of_job(job_id, job, lines, events)]
        if not redis.exists(key("report", job_id)):
            faults.append(f"{job_id} has no report")
        faults += [
            f"{job_id}: not in index {name}"
            for name in _indexes(job)
            if redis.zscore(key("index", name), job_id) is None
        ]
    known = set(decoded_all(ids))
    faults += [f"an event of an unknown job: {job_id}" for job_id, _, _ in events if job_id not in known]
    faults += [
        f"a job that retention would not find: {job_id}" for job_id in known - set(decoded_all(touched))
    ]
    return faults + _strays(store, known)


def _indexes(job: dict[str, str]) -> list[str]:
    return [f"{name.removeprefix('i:')}:{value}" for name, value in job.items() if name.startswith("i:")]


def _of_job(
    job_id: str, job: dict[str, str], lines: list[dict[str, Any]], events: set[tuple[str, str, int]]
) -> list[str]:
    faults = []
    for line in lines:
        announced = line.get("event_id")
        if announced and (job_id, announced, line["entry"]) not in events:
            faults.append(f"entry {line['entry']} has no event")
        if line["outcome"] in {"duplicate", "stale"} and announced and "doubt" not in line:
            faults.append(f"entry {line['entry']} is {line['outcome']} and has an event")
    told = {(line["event_id"], line["entry"]) for line in lines if line.get("event_id")}
    faults += [f"event {e} has no entry" for j, e, n in events if j == job_id and (e, n) not in told]
    if int(job["entries"]) != len(lines):
        faults.append(f"{job['entries']} entries counted, {len(lines)} kept")
    return faults


def _strays(store: Store, known: set[str]) -> list[str]:
    redis, key = store.db.client, store.db.key
    faults = []
    for index in decoded_all(redis.scan_iter(match=key("index", "*"), count=1000)):
        name = index.removeprefix(key("index", ""))
        for job_id in decoded_all(redis.zrange(index, 0, -1)):
            job = store.jobs.get(job_id)
            if job is None or name not in names(job.report):
                faults.append(f"{job_id} stands in {name} without reason")
    faults += [
        f"{each} is due and unknown"
        for each in decoded_all(redis.zrange(key("due"), 0, -1))
        if each not in known
    ]
    return faults
