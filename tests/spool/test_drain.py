"""Draining spooled callbacks: in order, once, by one process, whatever crashes in between."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.services import Services
from app.settings import Settings
from app.spool import SUFFIX, drain
from app.spool.files import OwnFile
from app.spool.lock import FolderLock
from app.spool.record import decode_record, encode_record, pack_refusal
from app.spool.replay import Away
from app.store import News
from app.store.refusals.refusal import Refusal
from harness.servers import Valkey, eventually
from harness.settings import make_settings
from tests.callbacks import new_job_id
from tests.spool.holder import Holder
from tests.spool.home import Home
from tests.store.samples import news


def test_a_record_holds_the_whole_report() -> None:
    """It is read back with its exact body, and with the time at which it was spooled."""
    original = replace(news("j1"), submission="s1")
    back = decode_record(encode_record(original))
    assert isinstance(back, News)
    assert back.note == {**(original.note or {}), "spooled_at": "2025-10-09T08:53:20.000Z"}
    for field in (
        "details",
        "source",
        "verification",
        "body",
        "submission",
        "token",
        "bind",
        "hold",
        "ask_after",
    ):
        assert getattr(back, field) == getattr(original, field)


def test_a_record_holds_the_whole_refusal() -> None:
    """With what was read of its body."""
    original = Refusal("malformed_json", "d", "f00f", {"name": "q"}, ("j1",), b"{,", True, "text/json")
    back = decode_record(pack_refusal(original))
    assert isinstance(back, Refusal)
    assert back.spooled_ms
    assert replace(back, spooled_ms=None) == original


def test_a_refusal_that_an_older_release_spooled_is_read() -> None:
    """It has no body, no id and no binding but its submission."""
    head = {"reason": "not_a_callback", "detail": "d", "token": "f00f", "submission": "s1", "job_ids": ["j1"]}
    old = json.dumps({"v": 1, "refusal": head | {"spooled_ms": 1_760_000_000_000}}).encode() + b"\n"
    back = decode_record(old)
    assert isinstance(back, Refusal)
    assert (back.submission, back.job_ids, back.received_ms) == ("s1", ("j1",), 1_760_000_000_000)
    assert (back.body, back.whole) == (b"", False)


def test_records_are_drained_in_order_and_the_folder_is_empty(home: Home) -> None:
    """Each once, in the order of its file; then the file is removed."""
    home.put(*(encode_record(news("j1", state)) for state in ("Submitted", "Running", "Success", "Success")))
    home.drainer.step()
    assert home.outcomes("j1") == ["accepted", "accepted", "accepted", "duplicate"]
    assert not home.files()
    assert home.said == {"accepted": 3, "duplicate": 1}


@pytest.mark.parametrize("whole", range(4))
def test_a_crash_after_any_record_loses_none(home: Home, whole: int) -> None:
    """The next drainer replays the file; records that were drained before are duplicates."""
    ids = [new_job_id() for _ in range(4)]
    home.put(*(encode_record(news(job_id)) for job_id in ids))

    class Killed(BaseException):
        """Like SIGKILL: no clean-up of ours runs."""

    def die(_outcome: str) -> None:
        if sum(bool(home.outcomes(job_id)) for job_id in ids) > whole:
            raise Killed

    with pytest.raises(Killed):
        home.another(die).step()
    home.drainer.step()
    assert not home.files()
    for n, job_id in enumerate(ids):
        assert home.outcomes(job_id) == (["accepted", "duplicate"] if n <= whole else ["accepted"])


@pytest.mark.parametrize("taken", range(1, 5))
def test_a_redis_that_loses_its_last_writes(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis restarts without the records drained before; their file is still there, and they are drained again."""
    # A restart may take seconds: then the restart would be noticed before all records are drained.
    monkeypatch.setattr(drain, "_SETTLE_S", 600.0)
    with Valkey(tmp_path, "--appendonly", "no") as server:
        home = Home(Services.open(make_settings(server.url), timeout=5).store, tmp_path / "spool")
        ids = [new_job_id() for _ in range(4)]
        home.put(*(encode_record(news(job_id)) for job_id in ids[:2]))
        home.put(*(encode_record(news(job_id)) for job_id in ids[2:]))

        def restart(outcome: str) -> None:
            home.said[outcome] += 1
            if home.said.total() == taken:
                server.kill()
                server.start()

        drainer = home.another(restart)
        with pytest.raises(Away, match="restarted"):
            drainer.step()
        drainer.step()
        assert not home.files()
        again = [["accepted"] if n < taken else ["accepted", "duplicate"] for n in range(4)]
        assert [home.outcomes(job_id) for job_id in ids] == again


@pytest.mark.parametrize("cap", ["jobs_max", "outbox_max"])
def test_a_full_store_gets_no_record_twice(settings: Settings, tmp_path: Path, cap: str) -> None:
    """The drainer waits at the first record for which there is no room, and what is stored gets no duplicates."""
    services = Services.open(settings.model_copy(update={cap: 2}), timeout=5)
    home = Home(services.store, tmp_path / "spool")
    ids = [new_job_id() for _ in range(4)]
    home.put(*(encode_record(news(job_id)) for job_id in ids))
    for _ in range(5):
        with pytest.raises(Away, match=cap.upper()):
            home.drainer.step()
    assert [home.outcomes(job_id) for job_id in ids] == [["accepted"], ["accepted"], [], []]
    services.store.retention.drop_job(ids[0])
    services.store.retention.drop_job(ids[1])
    services.store.db.client.xtrim(services.store.db.key("events"), maxlen=0)
    home.drainer.step()
    assert [home.outcomes(job_id) for job_id in ids[2:]] == [["accepted"], ["accepted"]]
    assert not home.files()


def test_a_torn_record_is_skipped_and_reported(home: Home) -> None:
    """A crash cut the file off: only its last record is lost."""
    home.put(encode_record(news("j1")), encode_record(news("j2")))
    (file,) = home.files()
    with file.open("rb+") as cut:
        cut.truncate(file.stat().st_size - 7)
    home.drainer.step()
    assert home.outcomes("j1") == ["accepted"]
    assert home.said == {"accepted": 1, "torn": 1}
    assert not home.files()


def test_damaged_bytes_are_kept_for_inspection(home: Home) -> None:
    """Records after the damage are stored; the damaged bytes themselves are set aside in a file."""
    home.put(encode_record(news("j1")), encode_record(news("j2")), encode_record(news("j3")))
    (file,) = home.files()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    home.drainer.step()
    assert [home.outcomes(job_id) for job_id in ("j1", "j2", "j3")] == [["accepted"], [], ["accepted"]]
    assert len(home.files(".damaged")) == 1
    assert home.said == {"accepted": 2, "damaged": 1}


def test_an_unreadable_record_delays_no_other(home: Home) -> None:
    """It is set aside in a file that, renamed, is drained again."""
    home.put(encode_record(news("j1")), b"written by a later version", encode_record(news("j2")))
    home.drainer.step()
    assert home.outcomes("j1") == home.outcomes("j2") == ["accepted"]
    (aside,) = home.files(".aside")
    aside.rename(aside.with_suffix(SUFFIX))
    home.drainer.step()
    assert home.said == {"accepted": 2, "set_aside": 2}


def test_a_job_that_redis_cannot_store_is_set_aside(home: Home) -> None:
    """An error that Redis answers for one record sets that record aside; the next one is drained."""
    home.store.db.client.set(home.store.db.key("job", "jodd"), "not a hash")
    home.put(encode_record(news("jodd")), encode_record(news("j2")))
    home.drainer.step()
    assert home.outcomes("j2") == ["accepted"]
    assert len(home.files(".aside")) == 1


def test_a_file_that_is_still_written_is_left_alone(home: Home) -> None:
    """It is drained once its process has closed it."""
    home.spool.append(encode_record(news("j1")))
    home.drainer.step()
    assert home.outcomes("j1") == []
    home.spool.hand_over(at_once=True)
    home.drainer.step()
    assert home.outcomes("j1") == ["accepted"]


def test_one_process_drains_a_folder(home: Home) -> None:
    """The one that holds the lock; another can take the lock once it is released."""
    home.spool.append(encode_record(news("j1")))
    first, second = FolderLock(home.spool.folder), FolderLock(home.spool.folder)
    assert first.take() and first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()


def test_another_process_drains_the_file_of_a_killed_writer(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    """SIGKILL of a process that has never closed its file: until then the file is left alone, then it is drained."""
    with Holder("writer", settings, home.spool.folder, tmp_path / "log") as writer:
        home.drainer.step()
        assert (len(home.files()), home.outcomes("j1")) == (1, [])
        writer.kill()
        home.drainer.step()
        assert (home.files(), home.outcomes("j1")) == ([], ["accepted"])


def test_another_process_drains_the_folder_of_a_killed_drainer(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    """SIGKILL of the process that holds the folder's lock, in the middle of a file: another one takes the lock and
    drains the whole file. What was stored before is a duplicate."""
    home.put(encode_record(news("j1")), encode_record(news("j2")))
    with Holder("drainer", settings, home.spool.folder, tmp_path / "log") as drainer:
        assert not FolderLock(home.spool.folder).take()
        drainer.kill()
        assert (home.outcomes("j1"), home.outcomes("j2")) == (["accepted"], [])
        home.drainer.start()
        try:
            eventually(lambda: not home.files(), "the file to be drained")
        finally:
            home.drainer.stop()
    assert (home.outcomes("j1"), home.outcomes("j2")) == (["accepted", "duplicate"], ["accepted"])


def test_while_redis_is_away_nothing_moves(home: Home) -> None:
    """While Redis is full a step ends at once and leaves the file as it is."""
    home.put(encode_record(news("j1")))
    before = home.files()[0].read_bytes()
    client = home.store.db.client
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(Away):
            home.drainer.step()
    finally:
        client.config_set("maxmemory", 0)
    assert home.files()[0].read_bytes() == before
    home.drainer.step()
    assert home.outcomes("j1") == ["accepted"]


def test_leftovers_of_crashes_are_removed(home: Home) -> None:
    """Files that never got a name."""
    home.put(encode_record(news("j1")))
    unnamed = home.spool.folder / "00-1.new"
    unnamed.write_bytes(b"")
    os.utime(unnamed, (1, 1))
    home.drainer.step()
    assert not list(home.spool.folder.iterdir())


def test_a_new_file_has_no_name_before_it_is_locked(tmp_path: Path) -> None:
    """A drainer never finds a living process's file unlocked."""
    file = OwnFile(tmp_path)
    with file.path.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.close()
    with file.path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_lock_of_a_folder_that_was_replaced(home: Home) -> None:
    """The lock is on the folder that exists now: no two processes drain it, and it is drained."""
    home.spool.append(encode_record(news("j1")))
    old, other = FolderLock(home.spool.folder), FolderLock(home.spool.folder)
    assert old.take() and old.take()
    home.spool.folder.rename(home.spool.folder.with_name("away"))
    home.spool.append(encode_record(news("j2")))
    assert other.take()
    assert not old.take()
    other.release()
    assert old.take()
    assert not other.take()
    old.release()
