"""The short forms in which the store writes values are read back without loss."""

from __future__ import annotations

import json
import re
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.ci.report import Output, Report
from app.core.clock import rfc3339
from app.redis.scripts import decoded
from app.store import Store
from app.store.jobs.entries import read_entry, stored_entry
from app.store.jobs.index import INDEXED_FIELDS
from app.store.members import job_of, member_of, short_range
from app.store.outputs.checks import merged, note_of, place
from app.store.runs.run import End, Run, Start
from harness.servers import ROOT
from tests.store.said import said, tell
from tests.store.samples import submission

USUAL = st.from_regex(r"\A[a-z][0-9a-f]{32}\Z")
TEXT = st.text(max_size=40).filter(lambda text: text.isprintable())
JOB = "j0123456789abcdef0123456789abcdef"


@given(st.one_of(USUAL, TEXT), st.one_of(USUAL, TEXT))
def test_a_member_stands_for_one_job(one: str, other: str) -> None:
    """Whatever the ids are made of; CI's own take half of the bytes."""
    assert job_of(member_of(one)) == one
    assert (member_of(one) == member_of(other)) == (one == other)


ODD = [
    "",
    "j1",
    "é",
    JOB.upper(),
    f"{JOB}0",
    JOB[:-1],
    f"1{JOB[1:]}",
    f"{JOB[:-1]}\n",
    f"{JOB[:-1]}g",
    f"é{JOB[2:]}",
]


@pytest.mark.parametrize("job_id", [JOB, f"z{JOB[1:]}", f"a{'f' * 32}", *ODD])
def test_scripts_make_the_same_members(store: Store, job_id: str) -> None:
    """A member that a script adds to a sorted set is found and removed by the member that Python computes."""
    record = (ROOT / "app/store/jobs/record.lua").read_text()
    assert store.db.client.eval(record + "return member_of(ARGV[1])", 0, job_id) == member_of(job_id)


@given(st.one_of(USUAL, TEXT.filter(bool)), st.integers(1, 33), USUAL)
def test_ids_that_begin_alike_stand_side_by_side(job_id: str, length: int, other: str) -> None:
    """Also in the short form, where two digits are one byte: a range holds the ids with the prefix, and no others."""
    text = job_id[:length]
    ends = short_range(text)
    between = ends is not None and ends[0] <= member_of(other) <= ends[1]
    assert between == other.startswith(text)
    assert short_range(other[:length]) is not None


def test_scripts_and_python_know_the_same_indexes() -> None:
    """In the same order, since a job's places are known only by it."""
    lua = (ROOT / "app/store/jobs/record.lua").read_text()
    (listed,) = re.findall(r"INDEXES = \{(.*?)\}", lua)
    assert tuple(re.findall(r"'(\w+)'", listed)) == INDEXED_FIELDS


@given(
    st.fixed_dictionaries(
        {
            "entry": st.integers(1, 10**6),
            "kind": TEXT,
            "at": TEXT,
            "outcome": st.sampled_from(["accepted", "other"]),
        },
        optional={
            "event_id": st.from_regex(r"\A[0-9a-f]{32}\Z"),
            "body": st.from_regex(r"\A[\w-]{1,24}\Z", fullmatch=True),
            "doubt": st.sampled_from(["states_differ", "end_in_future"]),
            "verified": st.lists(TEXT, max_size=3),
        },
    )
)
def test_an_entry_is_read_as_it_was(entry: dict[str, Any]) -> None:
    """Also an entry of an earlier release with an outcome that this release does not have."""
    assert read_entry(stored_entry(entry)) == entry


@pytest.mark.parametrize("worker", ["vm-1", "callbacks-worker-7d9f8b6c5d-abc-12"])
def test_a_usual_event_with_its_run_takes_one_small_hash(store: Store, worker: str) -> None:
    """Before, during and after its run: Redis keeps a hash small as long as no value has more than 64 bytes."""
    tell(store, said(JOB, "Success"))
    (posted,) = store.outbox.after("0", 1)
    run = f"{posted.event.event_id}|workers.handlers.log_end"
    key = store.db.key("runs_of", posted.event.event_id)

    def is_small() -> bool:
        return decoded(store.db.client.object("encoding", key)) == "listpack"

    store.runs.plan([(posted.event, [("workers.handlers.log_end", None)])])
    assert is_small()
    number = store.runs.start(Start(run, 10, 3, worker))
    store.runs.beat(run, number, 30)
    assert is_small()
    entry = {
        "n": number,
        "started_at": rfc3339(1_795_000_000_000),
        "ended_at": rfc3339(1_795_000_001_234),
        "ms": 1234,
    }
    store.runs.finish(End(run, number, "done", entry | {"worker": worker, "error": None}))
    done = store.runs.get(run)
    assert is_small()
    assert isinstance(done, Run)
    assert done.tries == (entry | {"worker": worker, "error": None},)
    assert done.ended_at == entry["ended_at"]


def test_a_usual_submission_takes_one_small_hash(store: Store) -> None:
    """The request is in it; only a longer request has a key of its own."""
    short = replace(submission("s1"), labels={"show": "news"}, facts={"bucket": "b", "region": "r"})
    long = replace(short, id="s2", facts=short.facts | {"input_object": token_hex(64)})
    for each in (short, long):
        store.submissions.create(each)
        tell(store, said(f"j{each.id}", "Submitted"), source="submit", submission=each.id)
        kept = store.submissions.get(each.id)
        assert kept is not None
        assert (kept.facts, kept.labels, kept.callback) == (each.facts, each.labels, "own")
        assert decoded(store.db.client.object("encoding", store.db.key("submission", each.id))) == "listpack"
    has_own_key = [store.db.client.exists(store.db.key("request", each.id)) for each in (short, long)]
    assert has_own_key == [0, 1]


def test_a_job_takes_one_small_hash(store: Store) -> None:
    """With everything that a usual life leaves in it."""
    for state in ("Submitted", "Running", "Success"):
        tell(store, said(JOB, state))
        event = store.outbox.after("0", 10)[-1].event
        store.runs.plan([(event, [("workers.handlers.log_end", None)])])
    assert decoded(store.db.client.object("encoding", store.db.key("job", JOB))) == "listpack"


OUTPUT = st.builds(
    Output,
    bucket=st.sampled_from(["b-1", None]),
    region=st.just("r"),
    object=st.text(max_size=3),
    md5=st.sampled_from(["0" * 32, None]),
)
FOUND = st.tuples(st.integers(0, 2**40), st.sampled_from(["0" * 32, "f" * 32, None]))


@given(st.lists(OUTPUT, max_size=6, unique_by=place), st.data(), st.sampled_from([True, False, None]))
def test_a_check_is_read_as_it_was(outputs: list[Output], data: st.DataObject, ok: bool | None) -> None:
    """For the outputs that were checked, and for no others; also in the form of earlier releases."""
    found = {place(each): data.draw(FOUND) for each in outputs if data.draw(st.booleans())}
    report = Report(job_id=JOB, outputs=tuple(outputs)).to_dict()
    earlier = json.dumps({"ok": ok, "found": found, "of": [[place(each), each.md5] for each in outputs]})
    for note in (note_of(outputs, found, ok), earlier):
        then = merged(report, note)
        assert then["outputs_ok"] == ok
        sizes = [(each["size"], each["etag"]) for each in then["outputs"]]
        assert sizes == [found.get(place(each), (None, None)) for each in outputs]
        other = Report(job_id=JOB, outputs=(*outputs, Output(object="another"))).to_dict()
        assert merged(other, note) == other


def test_the_check_of_a_usual_job_is_short() -> None:
    """Four outputs that are as CI said: the note keeps the job's hash small."""
    outputs = [Output(bucket="b-1", region="r", object=f"out/{n}.mp3", md5=f"{n:032x}") for n in range(4)]
    found = {place(each): (40_000_000, each.md5) for each in outputs}
    assert len(note_of(outputs, found, True)) <= 64
