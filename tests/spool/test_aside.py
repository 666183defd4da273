"""Records that are set aside: they delay no other, take no room from others, are visible, and are retried."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app import create_app
from app.spool import SUFFIX, NoRoom, Spool
from app.spool.aside import DAMAGED, RECORDS, Retries, each_set_aside, payloads, retry_set_aside
from app.spool.files import OwnFile
from app.spool.record import encode_record, record_summary
from app.spool.replay import Away
from harness.servers import Valkey
from harness.settings import make_settings
from tests.spool.home import Home
from tests.spool.poison import POISON
from tests.store.samples import news


@pytest.mark.parametrize("kind", POISON)
def test_a_refused_record_delays_no_other_record(kind: str, home: Home) -> None:
    """A dozen records that Redis always refuses are ahead of a good one. The good one is stored in the same step, and
    the dozen are set aside unchanged, each with its reason."""
    poison = [POISON[kind](home.store, f"jp{n}") for n in range(12)]
    home.put(*poison, encode_record(news("jgood")))
    started = time.monotonic()
    home.drainer.step()
    assert time.monotonic() - started < 30, "earlier, each of them delayed the step by 3 s"
    assert home.outcomes("jgood") == ["accepted"]
    assert not home.files()
    kept = [each for path in home.files(RECORDS) for each in payloads(path)]
    assert len(kept) == 12
    assert home.spool.set_aside().records == 12
    assert all(record_summary(each)[0] for each in kept)
    assert [each.partition(b"\n")[2] for each in kept] == [each.partition(b"\n")[2] for each in poison]


def test_a_record_set_aside_is_retried(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the cause is fixed the record is drained, without an operator and without a restart."""
    monkeypatch.setattr("app.spool.aside._FIRST_S", 0.0)
    home.put(POISON["job"](home.store, "jodd"))
    home.drainer.step()
    home.drainer.step()
    assert home.spool.set_aside().records == 1, "tried again, and set aside again: once, not twice"
    home.store.db.client.delete(home.store.db.key("job", "jodd"))
    home.drainer.step()
    assert home.outcomes("jodd") == ["accepted"]
    assert home.spool.set_aside().records == 0


def test_back_off_doubles_up_to_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process retries everything at once."""
    clock = [1000.0]
    monkeypatch.setattr("app.spool.aside.time.monotonic", lambda: clock[0])
    retries, pauses = Retries(), []
    OwnFile(tmp_path, RECORDS).close()
    for _ in range(12):
        before = clock[0]
        while not (due := retries.due(tmp_path)):
            clock[0] += 1
        pauses.append(clock[0] - before)
        due[0].unlink()
        file = OwnFile(tmp_path, RECORDS)
        file.close()
        retries.begin([file.path], again=True)
    assert pauses[:5] == [0, 5, 10, 20, 40]
    assert pauses[-1] == 3600
    assert Retries().due(tmp_path)


def test_many_records_set_aside_do_not_delay_new_callbacks(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step spends a short time on them, and the next step begins with new records."""
    monkeypatch.setattr("app.spool.drain._ASIDE_S", 0.0)
    monkeypatch.setattr("app.spool.aside._FILE_BYTES", 1)
    monkeypatch.setattr("app.spool.aside._FIRST_S", 0.0)
    home.put(*(POISON["job"](home.store, f"jp{n}") for n in range(20)))
    for n in range(4):
        home.drainer.step()
        assert home.said["still_aside"] == n, "one in each step, when there are any"
    home.put(encode_record(news("jgood")))
    home.drainer.step()
    assert home.outcomes("jgood") == ["accepted"]
    assert home.spool.set_aside().records == 20
    assert {
        job for path in home.files(RECORDS) for each in payloads(path) for job in record_summary(each)[1]
    } == {f"jp{n}" for n in range(20)}


@pytest.mark.parametrize("at", range(5))
def test_a_crash_while_a_record_is_set_aside_loses_none(home: Home, at: int) -> None:
    """The process dies after any record: each one is drained, set aside, or still in its file."""
    ids = [f"j{n}" for n in range(5)]
    home.put(
        *(
            POISON["job"](home.store, each) if n % 2 else encode_record(news(each))
            for n, each in enumerate(ids)
        )
    )

    class Killed(BaseException):
        """Like SIGKILL: no clean-up of ours runs."""

    heard: list[str] = []

    def die(outcome: str) -> None:
        heard.append(outcome)
        if len(heard) > at:
            raise Killed

    with pytest.raises(Killed):
        home.another(die).step()
    home.another().step()
    assert not home.files()
    aside = {
        job for path in home.files(RECORDS) for each in payloads(path) for job in record_summary(each)[1]
    }
    assert aside == {"j1", "j3"}
    assert all("accepted" in home.outcomes(each) for each in ("j0", "j2", "j4"))


def test_redis_going_away_meanwhile_puts_nothing_aside_twice(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that was set aside before the step failed is still in its file, and only that copy is kept."""
    home.put(POISON["job"](home.store, "jodd"), encode_record(news("j2")))
    monkeypatch.setattr(home.drainer, "_settle", lambda **_: (_ for _ in ()).throw(Away("just now")))
    with pytest.raises(Away):
        home.drainer.step()
    assert not home.files(RECORDS)
    monkeypatch.undo()
    home.drainer.step()
    assert home.spool.set_aside().records == 1


def test_records_set_aside_take_no_room_from_callbacks(tmp_path: Path) -> None:
    """Up to SPOOL_MAX of them leave callbacks all of their room. Beyond that they take from it, none is dropped, and
    in the end the spool is full."""
    file = OwnFile(tmp_path, RECORDS)
    file.write(bytes(90_000))
    file.close()
    spool = Spool(tmp_path, 100_000)
    assert spool.condition() == ("ok", 0)
    spool.append(bytes(70_000))
    spool.hand_over(at_once=True)
    (tmp_path / f"0-1.9{DAMAGED}").write_bytes(bytes(40_000))
    fresh = Spool(tmp_path, 100_000)
    assert fresh.condition()[0] == "full"
    with pytest.raises(NoRoom, match="SPOOL_MAX"):
        fresh.append(bytes(10_000))
    assert (fresh.set_aside().records, fresh.set_aside().bytes) == (2, file.size + 40_000)


def test_what_an_earlier_release_put_aside(home: Home) -> None:
    """It is counted, described, tried at the start, and can be put back into the queue."""
    home.spool.folder.mkdir()
    for name in ("jold", "jolder"):
        file = OwnFile(home.spool.folder, RECORDS)
        file.write(encode_record(news(name)))
        file.close()
    first, second = home.files(RECORDS)
    assert home.spool.set_aside().records == 2
    assert [record_summary(each)[1] for each in payloads(first)] == [["jold"]]
    retry_set_aside(first)
    assert home.files(SUFFIX) == [first.with_suffix(SUFFIX)]
    home.drainer.step()
    assert home.outcomes("jold") == home.outcomes("jolder") == ["accepted"]
    assert home.spool.set_aside().records == 0
    assert not second.exists()


def test_a_record_set_aside_is_visible(tmp_path: Path, valkey: Valkey) -> None:
    """/readyz is degraded, still 200, and names it; the metrics count it."""
    app = create_app(make_settings(valkey.url, spool_dir=str(tmp_path)))
    client, services = app.test_client(), app.extensions["services"]
    for role in ("relay", "worker"):
        services.store.presence.here(role)
    assert client.get("/readyz").get_json()["status"] == "ok"
    file = OwnFile(tmp_path, RECORDS)
    file.write(b"written by a later version")
    file.close()
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "degraded")
    assert ready.get_json()["spool_set_aside"] == 1
    assert ready.get_json()["parts"]["set_aside"].startswith("1 records")
    assert ready.get_json()["parts"]["spool"] == "ok"
    said = client.get("/metrics").text
    assert "ci_spool_set_aside 1.0" in said
    assert f"ci_spool_set_aside_bytes {float(file.size)}" in said


def test_a_record_that_is_retried_while_the_folder_is_read_is_not_missed(tmp_path: Path) -> None:
    """A retry moves a record to a new file after the reader has listed the old one."""

    def write(name: bytes) -> Path:
        file = OwnFile(tmp_path, RECORDS)
        file.write(name)
        file.close()
        return file.path

    first, second = write(b"one"), write(b"two")

    def read(path: Path) -> list[bytes]:
        if path == first and second.exists():
            write(b"two")
            second.unlink()
        return list(payloads(path))

    assert sorted(each_set_aside(tmp_path, read)) == [[b"one"], [b"two"]]
