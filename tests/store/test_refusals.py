"""The list of refusals: what is kept of them, within which bounds, and what happens to their jobs."""

from __future__ import annotations

import random
import secrets
import threading

import pytest
from msgspec.structs import replace

from app.core.clock import now_ms
from app.redis.cursors import encode_cursor
from app.redis.scripts import decoded_all, text_map
from app.services import Services
from app.settings.types import AgeAndSize
from app.store import Limits, Store
from app.store.refusals.refusal import Refusal, RefusalFilter
from app.store.refusals.refusals import Bounds
from tests.store.jobs.populated import new_submission
from tests.store.said import said, tell
from workers.relay import retention

HOUR_MS = 3_600_000


def refused(**changes: object) -> Refusal:
    """A refusal of an unreadable body, sent to a console URL."""
    given = {
        "reason": "malformed_json",
        "detail": "Expected JSON",
        "token": "f00f",
        "binding": {"name": "console", "nonce": "n"},
        "body": b'{"JobsDetail": [],}',
        "whole": True,
        "content_type": "application/json",
    }
    return Refusal(**(given | changes))  # type: ignore[arg-type]


def bounded(store: Store, size: int, seconds: float = 3600.0) -> Store:
    """The same store, as a process with another RETENTION_REFUSALS has it."""
    return Store.open(
        f"unix://{store.db.client.connection_pool.connection_kwargs['path']}",
        store.db.prefix,
        timeout=5,
        refusals=Bounds(seconds, size),
    )


def ids(store: Store, **wanted: object) -> list[str]:
    return [each.id for each in store.refusals.page(RefusalFilter(**wanted), 200)[0]]  # type: ignore[arg-type]


def no_trace(store: Store) -> bool:
    keys = decoded_all(store.db.client.scan_iter(f"{store.db.prefix}refus*"))
    return not keys


def test_everything_that_was_read_is_kept(store: Store) -> None:
    """Reason, detail, binding, bytes and the rest; in a list all but the body."""
    refusal = refused(job_ids=("j1", "j2"), body=b"\x00\xff" * 500)
    assert store.refusals.note(refusal)
    kept = store.refusals.get(refusal.id)
    assert kept is not None
    for name in (
        "reason",
        "detail",
        "token",
        "binding",
        "job_ids",
        "body",
        "whole",
        "content_type",
        "received_ms",
    ):
        assert getattr(kept, name) == getattr(refusal, name), name
    (listed,) = store.refusals.newest(10)
    assert (listed.body, listed.size, listed.name, listed.state) == (b"", 1000, "console", "open")


def test_texts_have_bounds(store: Store) -> None:
    """What a stranger can make long is cut."""
    refusal = refused(detail="d" * 10_000, content_type="c" * 10_000)
    store.refusals.note(refusal)
    kept = store.refusals.get(refusal.id)
    assert kept is not None
    assert (len(kept.detail), len(kept.content_type)) == (300, 100)
    assert kept.detail.endswith("…")


def test_a_refusal_that_is_stored_twice_is_kept_once(store: Store) -> None:
    """A second drain of the spool adds neither a refusal nor an entry of the history."""
    tell(store, said("j1", "Running"))
    refusal = refused(job_ids=("j1",))
    for _ in range(3):
        assert store.refusals.note(refusal)
    assert store.refusals.open()[0] == 1
    assert [entry["kind"] for entry in store.jobs.history("j1")[0]] == ["callback", "refused"]


def test_ci_is_asked_and_the_history_names_the_refusal(store: Store) -> None:
    """Of a job that has ended too; an unknown job is not made."""
    tell(store, said("j1", "Success", "2022-06-27T07:30:00Z"))
    refusal = refused(job_ids=("j1", "jnone"))
    store.refusals.note(refusal)
    entry = store.jobs.history("j1")[0][-1]
    assert (entry["kind"], entry["outcome"], entry["refusal"]) == ("refused", "refused", refusal.id)
    assert store.due.take(10, 60) == ["j1"]
    assert store.jobs.get("jnone") is None


def test_a_revoked_token_leaves_nothing(store: Store) -> None:
    """Neither a refusal, nor an entry, nor a question to CI."""
    tell(store, said("j1", "Success", "2022-06-27T07:30:00Z"))
    store.refusals.revoke("f00f")
    assert not store.refusals.note(refused(job_ids=("j1",)))
    assert no_trace(store)
    assert store.jobs.history("j1")[1] == 1
    assert store.due.take(10, 60) == []


def test_the_bytes_are_bounded_and_the_oldest_go_first(store: Store) -> None:
    """Whatever the sizes and URLs; the counted bytes are those that are stored."""
    small, luck = bounded(store, 256 * 1024), random.Random(7)
    came = []
    for n in range(400):
        body = secrets.token_bytes(luck.choice((0, 10, 1000, 20_000)))
        refusal = refused(body=body, token=f"t{luck.randrange(40)}", received_ms=now_ms() - 10_000 + n)
        small.refusals.note(refusal)
        came.append(refusal)
        assert small.refusals.open()[1] <= 256 * 1024
    kept = set(ids(store))
    assert 10 < len(kept) < 400
    assert came[-1].id in kept
    _counts_are_right(store)
    by_token = [each for each in came if each.token == came[-1].token]
    standing = [each.id in kept for each in by_token]
    assert standing == sorted(standing), "of one URL the newest are kept"


def _counts_are_right(store: Store) -> None:
    redis, key = store.db.client, store.db.key
    kept = decoded_all(redis.zrange(key("refused"), 0, -1))
    each = [decoded_all(redis.hmget(key("refusal", one), "token", "bytes")) for one in kept]
    counted: dict[str, int] = {"all": 0}
    for token, size in each:
        counted["all"] += int(size)
        counted[token] = counted.get(token, 0) + int(size)
    found = {name: int(size) for name, size in text_map(redis.hgetall(key("refused_bytes"))).items()}
    assert found == {name: size for name, size in counted.items() if size}
    hashes = decoded_all(redis.scan_iter(f"{store.db.prefix}refusal:*"))
    assert {name.rpartition(":")[2] for name in hashes} == set(kept)
    listed = {
        one
        for name in redis.scan_iter(f"{store.db.prefix}refused_of:*")
        for one in decoded_all(redis.zrange(name, 0, -1))
    }
    assert listed == set(kept)


def test_what_is_counted_covers_what_redis_needs(store: Store) -> None:
    """The bound is one of memory, not of body bytes."""
    for size in (0, 100, 10_000):
        refusal = refused(body=secrets.token_bytes(size))
        store.refusals.note(refusal)
        redis, key = store.db.client, store.db.key("refusal", refusal.id)
        (counted,) = redis.hmget(key, "bytes")
        assert int(counted or 0) >= int(redis.memory_usage(key, samples=0) or 0)


def test_one_url_pushes_out_its_own_only(store: Store) -> None:
    """A leaked URL that floods the list removes no refusals of other URLs."""
    small = bounded(store, 256 * 1024)
    others = [refused(token=f"t{n}") for n in range(10)]
    for each in others:
        small.refusals.note(each)
    for _ in range(300):
        small.refusals.note(refused(token="leaked", body=secrets.token_bytes(3000)))
    assert {each.id for each in others} <= set(ids(store))
    assert 1 < len(ids(store, token="leaked")) < 20
    assert small.refusals.open()[1] <= 256 * 1024 * 0.3


def test_a_body_beyond_its_token_s_share_is_left_out(store: Store) -> None:
    """The refusal itself is listed all the same, and says that its body is not whole."""
    small = bounded(store, 64 * 1024)
    refusal = refused(body=secrets.token_bytes(20_000))
    small.refusals.note(refusal)
    kept = store.refusals.get(refusal.id)
    assert kept is not None
    assert (kept.body, kept.whole, kept.size) == (b"", False, 20_000)


def test_old_refusals_are_removed(store: Store) -> None:
    """Past RETENTION_REFUSALS, with the next refusal or by a sweep, without any key left."""
    small = bounded(store, 64 * 1024, seconds=60.0)
    small.refusals.note(refused(received_ms=now_ms() - HOUR_MS))
    assert no_trace(store)
    store.refusals.note(refused(received_ms=now_ms() - HOUR_MS))
    assert store.refusals.drop_old(7200, 10) == 0
    assert store.refusals.drop_old(60, 10) == 1
    assert no_trace(store)


def test_the_relay_removes_old_refusals(services: Services) -> None:
    """Also if no further refusal comes."""
    settings = services.settings.model_copy(update={"retention_refusals": AgeAndSize(60, 2**20)})
    services.store.refusals.note(refused(received_ms=now_ms() - HOUR_MS))
    stopping = threading.Event()
    stopping.set()
    retention.step(replace(services, settings=settings), stopping)
    assert no_trace(services.store)


def test_smaller_bounds_hold_after_a_few_steps(store: Store) -> None:
    """Where RETENTION_REFUSALS shrinks, one step drops a bounded number, the next goes on."""
    for n in range(120):
        store.refusals.note(refused(token=f"t{n}"))
    small = bounded(store, 64 * 1024)
    while small.refusals.drop_old(3600, 20):
        pass
    assert 20 < small.refusals.open()[0] < 60
    _counts_are_right(store)


def test_a_dismissed_refusal_keeps_its_reason(store: Store) -> None:
    """It leaves the list and loses its body, but stays readable for a while; the job's history names operator and
    reason."""
    tell(store, said("j1", "Running"))
    refusal = refused(job_ids=("j1",))
    store.refusals.note(refusal)
    assert store.refusals.dismiss(refusal, "anna", "test data")
    assert not store.refusals.dismiss(refusal, "bert", "too late")
    assert ids(store) == []
    kept = store.refusals.get(refusal.id)
    assert kept is not None
    assert (kept.state, kept.body) == ("dismissed", b"")
    assert (kept.acts[0]["act"], kept.acts[0]["by"], kept.acts[0]["reason"]) == (
        "dismiss",
        "anna",
        "test data",
    )
    entry = store.jobs.history("j1")[0][-1]
    assert (entry["outcome"], entry["by"], entry["detail"]) == ("dismissed", "anna", "test data")
    assert 0 < store.db.client.ttl(store.db.key("refusal", refusal.id)) <= 7 * 86400
    assert store.refusals.open() == (0, 0)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "dcba"),
        ({"reason": "bad_job_id"}, "b"),
        ({"job_id": "j1"}, "ca"),
        ({"job_id": "j"}, ""),
        ({"token": "t2"}, "db"),
        ({"token": "t2", "reason": "bad_job_id"}, "b"),
        ({"token": "none"}, ""),
        ({"name": "queue"}, "d"),
        ({"after": 1_700_000_002_000}, "dc"),
        ({"before": 1_700_000_001_000}, "ba"),
        ({"after": 1_700_000_001_000, "before": 1_700_000_002_000}, "cb"),
        ({"token": "t2", "after": 1_700_000_002_000}, "d"),
    ],
)
def test_the_list_is_filtered(store: Store, wanted: dict[str, object], found: str) -> None:
    """Newest first; every filter by itself and together; times include their ends; by pages of one as well."""
    each: dict[str, dict[str, object]] = {
        "a": {"job_ids": ("j1",)},
        "b": {"token": "t2", "reason": "bad_job_id"},
        "c": {"job_ids": ("j2", "j1")},
        "d": {"token": "t2", "binding": {"name": "queue"}},
    }
    # Long enough that none is dropped for its age.
    keeper = bounded(store, 2**20, seconds=50 * 365 * 86400.0)
    for n, (name, changes) in enumerate(each.items()):
        keeper.refusals.note(refused(id=name, received_ms=1_700_000_000_000 + 1000 * n, **changes))
    assert "".join(ids(store, **wanted)) == found
    paged, cursor = [], encode_cursor((2**49, "~"))
    while cursor:
        page, following = store.refusals.page(RefusalFilter(**wanted), 1, cursor)  # type: ignore[arg-type]
        paged += [refusal.id for refusal in page]
        cursor = following or ""
    assert "".join(paged) == found


def test_pages_jump_over_none(store: Store) -> None:
    """Hundreds of the same millisecond, and some that leave the list while it is read."""
    came = [refused(received_ms=now_ms() // 1000 * 1000) for _ in range(500)]
    for each in came:
        store.refusals.note(each)
    seen, cursor = [], None
    while True:
        page, cursor = store.refusals.page(RefusalFilter(), 70, cursor)
        seen += [each.id for each in page]
        if cursor is None:
            break
        store.refusals.taken(page[0])
    assert sorted(seen) == sorted(each.id for each in came)


def test_a_refusal_concerns_the_jobs_of_its_submission(store: Store) -> None:
    """Not those that the payload names; before CI's answer, CI is asked about the jobs once the answer names them."""
    submission = new_submission(store)
    early = refused(binding={"submission": submission}, job_ids=("jclaimed",))
    store.refusals.note(early)
    tell(store, said("j1", "Submitted"), source="submit", submission=submission)
    assert store.due.take(10, 60) == ["j1"]
    late = refused(binding={"submission": submission}, job_ids=("jclaimed",))
    store.refusals.note(late)
    assert ids(store, job_id="j1") == [late.id]
    assert ids(store, job_id="jclaimed") == []


def test_refusals_leave_room_in_a_history(store: Store) -> None:
    """They fill half of it at most, so that what changes the job later is still seen."""
    url = f"unix://{store.db.client.connection_pool.connection_kwargs['path']}"
    few = Store.open(url, store.db.prefix, timeout=5, limits=Limits(history=10))
    tell(few, said("j1", "Running"))
    for _ in range(20):
        few.refusals.note(refused(job_ids=("j1",)))
    tell(few, said("j1", "Success"))
    kinds = [entry["kind"] for entry in few.jobs.history("j1")[0]]
    assert (kinds.count("refused"), kinds[-1]) == (4, "callback")
