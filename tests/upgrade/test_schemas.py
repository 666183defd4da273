"""What each schema between the first release and this one holds says the same after the migration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis import Redis

from app.doctor import preflight
from app.redis.scripts import decoded
from app.services import Services
from app.store import Store
from app.store.jobs.index import INDEXED_FIELDS
from app.store.keys import KINDS
from app.store.members import member_of
from app.store.packing.packing import pack, unpack
from app.store.reading.listing import Filter
from app.store.runs.run import Start
from harness.servers import Valkey
from tests.store.invariants import broken_invariants
from tests.store.said import said, tell
from tests.store.samples import submission
from tests.upgrade.dump import RELEASE1, SCHEMAS, Dump

JOB = "j0123456789abcdef0123456789abcdef"
"""The job that the processes of that schema have stored themselves: the others came from release 1."""


@pytest.fixture(params=SCHEMAS, ids=lambda dump: dump.folder.name)
def dump(request: pytest.FixtureRequest) -> Dump:
    chosen: Dump = request.param
    return chosen


@pytest.fixture
def migrated(dump: Dump, tmp_path: Path) -> Iterator[Store]:
    with Valkey(tmp_path) as server:
        client = Redis(unix_socket_path=str(server.socket))
        dump.load(client)
        client.close()
        settings = RELEASE1.settings(server)
        preflight.check_start(settings)
        yield Services.open(settings, timeout=5).store


def _runs(store: Store, job_id: str) -> list[Any]:
    return [[run.id, run.state, list(run.tries), run.tag, run.forgiven] for run in store.runs.of_job(job_id)]


def _job(store: Store, job_id: str) -> Any:
    job = store.jobs.get(job_id)
    return json.loads(job.model_dump_json()) if job else None


def _labelled(store: Store, job: dict[str, Any] | None) -> dict[str, Any] | None:
    """A job has the labels of its submission now, which schemas 2 and 3 showed there only, and says what
    it made: nothing that was read from those."""
    if job is None:
        return None
    submission = store.submissions.get(job["submission"]["id"]) if job["submission"] else None
    return job | {"labels": submission.labels if submission else {}, "media": None, "result": None}


def test_jobs_histories_runs_and_events_say_what_they_said(dump: Dump, migrated: Store) -> None:
    """Field by field, as the code of that schema read them."""
    before = dump.said
    assert _job(migrated, JOB) == _labelled(migrated, before["job"])
    assert migrated.jobs.history(JOB)[0] == before["history"]
    assert _runs(migrated, JOB) == before["runs"]
    for event_id, fields in before["events"].items():
        event = migrated.runs.event(event_id)
        assert event is not None
        found = [event.kind, event.state, event.version, event.entry, event.at, event.report]
        assert (event.job_id, found) == (JOB, fields)
    for job_id, (job, history, runs) in before["others"].items():
        assert _job(migrated, job_id) == _labelled(migrated, job)
        assert migrated.jobs.history(job_id)[0] == history
        assert _runs(migrated, job_id) == runs


def test_every_key_is_of_a_kind_of_this_release(migrated: Store) -> None:
    for key in migrated.db.client.scan_iter("ci:*"):
        kind = key.decode().removeprefix("ci:").partition(":")[0]
        assert decoded(migrated.db.client.type(key)) == KINDS.get(kind), key


def test_lists_find_each_job_where_it_stood(dump: Dump, migrated: Store) -> None:
    everything = {JOB: dump.said["job"]} | {each: job for each, (job, _, _) in dump.said["others"].items()}
    for field in ("state", "tag"):
        for value in {job[field] for job in everything.values()} - {None}:
            wanted = Filter(equal=((field, value),))
            found = {job.job_id for job in migrated.jobs.page(wanted, 100).jobs}
            assert found == {each for each, job in everything.items() if job[field] == value}
    assert {job.job_id for job in migrated.jobs.page(Filter(), 100).jobs} == everything.keys()


def test_a_search_finds_what_earlier_schemas_stored(dump: Dump, migrated: Store) -> None:
    """Each job by its id, its user data and its object."""
    everything = {JOB: dump.said["job"]} | {each: job for each, (job, _, _) in dump.said["others"].items()}
    for job_id, job in everything.items():
        for text in filter(None, (job_id, job["user_data"], (job["input"] or {}).get("object"))):
            assert job_id in {found.job_id for found in migrated.search.page(text[:-1], Filter(), 100).jobs}


def test_a_search_finds_what_schema_4_stored(store: Store) -> None:
    """It had the indexes, but not what they are searched by."""
    store.submissions.create(replace(submission("s1"), labels={"show": "news"}))
    tell(store, said("j1", "Success", user_data="order-1"), submission="s1")
    store.db.client.delete(store.db.key("values"))
    store.db.client.hset(store.db.key("schema"), "version", "4")
    store.schema.prepare()
    for text in ("j", "order", "input/", "new"):
        assert [job.job_id for job in store.search.page(text, Filter(), 9).jobs] == ["j1"]


def test_jobs_of_schema_5_are_found_listed_and_removed(store: Store) -> None:
    """It named indexes by their fields, searched by whole JobIds, and kept what was asked under a key of its own."""
    store.submissions.create(replace(submission("s1"), labels={"show": "news"}))
    tell(
        store,
        said(JOB, "Success", user_data="order-1"),
        said("j1", "Running"),
        source="submit",
        submission="s1",
    )
    asked = store.submissions.get("s1")
    _write_as_schema_5(store)
    store.schema.prepare()
    assert broken_invariants(store) == []
    assert store.submissions.get("s1") == asked
    for text, found in ((JOB[:5], {JOB}), ("order", {JOB}), ("new", {JOB, "j1"}), ("j", {JOB, "j1"})):
        assert {job.job_id for job in store.search.page(text, Filter(), 9).jobs} == found
    for name, value in (("state", "Success"), ("user_data", "order-1")):
        wanted = Filter(equal=((name, value), ("label.show", "news")))
        assert [job.job_id for job in store.jobs.page(wanted, 9).jobs] == [JOB]
    for job_id in (JOB, "j1"):
        assert store.retention.drop_job(job_id) is not None
    assert not list(store.db.client.scan_iter(store.db.key("index", "*")))
    assert not store.db.client.exists(store.db.key("values"), store.db.key("submission", "s1"))


def _write_as_schema_5(store: Store) -> None:
    """What is stored, in the names and forms of that schema."""
    redis, key = store.db.client, store.db.key
    fields = {str(n): name for n, name in enumerate(INDEXED_FIELDS, 1)} | {"l": "label"}
    for each in list(redis.scan_iter(key("index", "*"))):
        letter, _, place = each.decode().removeprefix(key("index", "")).partition(":")
        redis.rename(each, key("index", f"{fields[letter]}:{place}"))
    redis.zrem(key("values"), b"j" + member_of(JOB))
    redis.zadd(key("values"), {f"j{JOB}": 0})
    submission_key = key("submission", "s1")
    packed: Any = redis.hget(submission_key, "request")
    asked = json.loads(unpack(packed))
    redis.set(key("request", "s1"), pack(json.dumps({"labels": {"show": "news"}, **asked}).encode()))
    redis.hdel(submission_key, "request")
    redis.hset(submission_key, "callback", "own")
    redis.hset(key("schema"), "version", "5")


def test_migrated_reports_are_known(migrated: Store) -> None:
    """News that came before is a duplicate; what is new is taken, and the events before keep their reports."""
    assert tell(migrated, said(JOB, "Running")) == tell(migrated, said(JOB, "Success")) == ["duplicate"]
    assert tell(migrated, said(JOB, "Success", "2026-01-02T10:00:00+08:00")) == ["accepted"]
    reports = [migrated.runs.event(run.event_id) for run in migrated.runs.of_job(JOB)]
    assert sorted(event.state or "" for event in reports if event) == ["Running", "Success"]


def test_a_run_that_was_under_way_starts_again(migrated: Store) -> None:
    """Its lease has ended; the try that broke off stays in its record."""
    (run,) = (each for each in migrated.runs.of_job(JOB) if each.state == "running")
    assert migrated.runs.start(Start(run.id, 10, 3, "vm-2")) == 2
    first, second = next(each for each in migrated.runs.of_job(JOB) if each.id == run.id).tries
    assert (first["started_at"], first["worker"]) == (run.tries[0]["started_at"], "vm-1")
    assert "died" in first["error"]
    assert second["worker"] == "vm-2"


def test_a_job_can_be_removed_whole(dump: Dump, migrated: Store) -> None:
    for job_id in (JOB, *dump.said["others"]):
        migrated.retention.drop_job(job_id)
    left = {
        key.decode().removeprefix("ci:").partition(":")[0] for key in migrated.db.client.scan_iter("ci:*")
    }
    assert not left & {
        "job",
        "record",
        "runs_of",
        "report_of",
        "index",
        "jobs",
        "touched",
        "runs",
        "failures",
    }


def test_what_an_earlier_process_plans_after_the_migration_is_taken_over(migrated: Store) -> None:
    """A relay of the earlier release still runs: its runs wait until the present relay has moved them."""
    client, (event,) = (
        migrated.db.client,
        (each for each in migrated.runs.of_job(JOB) if each.state == "done"),
    )
    run = f"{event.event_id}|late"
    client.hset(f"ci:run:{run}", mapping={"job_id": JOB, "tag": "", "state": "waiting", "tries": 0})
    client.sadd(f"ci:job_runs:{JOB}", run)
    client.zadd("ci:runs", {run: 1})
    assert migrated.runs.start(Start(run, 10, 3, "vm-2")) == 0
    assert migrated.schema.take_over_stragglers() > 0
    assert migrated.runs.start(Start(run, 10, 3, "vm-2")) == 1
    assert run in {each.id for each in migrated.runs.of_job(JOB)}
