"""The writing side of the spool: what ``append`` promises, and what it refuses."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from app.spool import SUFFIX, NoRoom, Spool, files
from app.spool.files import keep_bytes
from app.spool.frames import Frame, scan
from harness.servers import PATIENCE_S, ROOT, eventually

T = TypeVar("T")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool", 2**20)
    yield made
    made.hand_over(at_once=True)


def records(folder: Path) -> list[bytes]:
    """Every record in the folder, oldest file first."""
    files = sorted(folder.glob(f"*{SUFFIX}"))
    return [each.payload for file in files for each in scan(file.read_bytes()) if isinstance(each, Frame)]


def test_appended_records_are_in_the_folder(spool: Spool) -> None:
    """When ``append`` returns, any process can read the record, but only as its owner."""
    spool.append(b"one")
    spool.append(b"two")
    assert records(spool.folder) == [b"one", b"two"]
    assert (spool.folder.stat().st_mode & 0o777) == 0o700
    assert {path.stat().st_mode & 0o777 for path in spool.folder.glob(f"*{SUFFIX}")} == {0o600}


def test_threads_share_a_file(spool: Spool) -> None:
    """Records of many threads never mix."""
    payloads = [b"%d" % n * 500 for n in range(64)]
    threads = [threading.Thread(target=spool.append, args=(payload,)) for payload in payloads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(records(spool.folder)) == sorted(payloads)


def test_the_limit_is_for_all_processes_together(tmp_path: Path) -> None:
    """Above SPOOL_MAX nothing is stored, whichever process filled the folder, until it is drained."""
    (tmp_path / f"0-other{SUFFIX}").write_bytes(bytes(900))
    spool = Spool(tmp_path, 1000)
    with pytest.raises(NoRoom, match="SPOOL_MAX"):
        spool.append(bytes(200))
    assert spool.condition()[0] == "full"
    (tmp_path / f"0-other{SUFFIX}").unlink()
    fresh = Spool(tmp_path, 1000)
    fresh.append(bytes(200))
    fresh.hand_over(at_once=True)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """``append`` raises and /readyz can tell; once the cause is fixed it works without a restart."""
    (tmp_path / "spool").write_text("a file is in the way")
    spool = Spool(tmp_path / "spool", 2**20)
    with pytest.raises(NoRoom):
        spool.append(b"one")
    assert spool.condition()[0] == "unwritable"
    (tmp_path / "spool").unlink()
    spool.append(b"two")
    assert records(spool.folder) == [b"two"]
    assert spool.condition()[0] == "ok"
    spool.hand_over(at_once=True)


def test_after_a_failed_sync_the_file_is_not_written_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next record gets a new file."""
    spool.append(b"one")
    with monkeypatch.context() as failing:
        failing.setattr("os.fsync", fail)
        with pytest.raises(NoRoom, match="Input/output error"):
            spool.append(b"two")
    spool.append(b"three")
    first, _ = sorted(spool.folder.glob(f"*{SUFFIX}"))
    assert b"three" not in first.read_bytes()
    assert {b"one", b"three"} <= set(records(spool.folder))


def fail(_fd: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


_FULL_DISK = """
import sys
from pathlib import Path
from app.spool import NoRoom, Spool
spool = Spool(Path(sys.argv[1]), 2**20)
for size in (600, 5000, 300, 5000, 200):
    try:
        spool.append(bytes([65 + size % 7]) * size)
        print("kept", size)
    except NoRoom:
        print("refused", size)
print(spool.condition()[0])
"""


def test_a_full_disk_spoils_nothing(tmp_path: Path) -> None:
    """A record that the disk takes half of is refused; records before and after it are whole."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)],
        preexec_fn=limit,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "kept 600", "refused 5000", "kept 300", "refused 5000", "kept 200", "unwritable",
    ]  # fmt: skip
    assert [len(record) for record in records(tmp_path)] == [600, 300, 200]


def test_a_fork_writes_into_a_file_of_its_own(spool: Spool) -> None:
    """After a fork, parent and child never share a file."""
    spool.append(b"parent")
    pid = os.fork()
    if not pid:
        spool.append(b"child")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    spool.append(b"parent again")
    assert sorted(records(spool.folder)) == [b"child", b"parent", b"parent again"]
    assert len({path.name.split("-")[1] for path in spool.folder.glob(f"*{SUFFIX}")}) == 2


def _removed(folder: Path) -> None:
    shutil.rmtree(folder)


def _moved(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def _replaced(folder: Path) -> None:
    """Replace the folder by an empty one, as when a volume is swapped."""
    _moved(folder)
    folder.mkdir()


def _swapped(folder: Path) -> None:
    """Replace it by one that has a file of the same name."""
    names = [path.name for path in folder.iterdir()]
    _replaced(folder)
    for name in names:
        (folder / name).write_bytes(b"")


def _emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize("go", [_removed, _moved, _replaced, _swapped, _emptied])
@pytest.mark.parametrize("when", ["before", "while it is synced", "after"])
def test_a_removed_folder_loses_no_answered_record(
    go: Callable[[Path], None], when: str, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system writes and syncs a removed file without an error; a record for which ``append`` has returned since is
    in the folder that exists."""
    spool.append(b"before")
    if when == "before":
        go(spool.folder)
    sync = os.fsync

    def meanwhile(fd: int) -> None:
        nonlocal when
        chosen, when = when, "done"
        if chosen == "while it is synced":
            go(spool.folder)
        sync(fd)
        if chosen == "after":
            go(spool.folder)

    monkeypatch.setattr("os.fsync", meanwhile)
    spool.append(b"during")
    spool.append(b"later")
    assert records(spool.folder) == [b"during", b"later"]
    assert spool.condition()[0] == "ok"


class Turn(threading.Condition):
    """Tells when a thread begins to wait for its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.awaited.set()
        return super().wait(timeout)


def test_a_file_is_handed_over_only_between_writes(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that closes the file waits for the sync of another: no drainer can remove the file before the
    answer."""
    sync, done = os.fsync, threading.Event()
    spool._turn = turn = Turn()

    def hand_over() -> None:
        spool.hand_over(at_once=True)
        done.set()

    def during(fd: int) -> None:
        monkeypatch.undo()
        threading.Thread(target=hand_over).start()
        eventually(lambda: turn.awaited.is_set() or done.is_set(), "the other thread to wait, or to close it")
        assert not done.is_set()
        sync(fd)

    spool.append(b"one")
    monkeypatch.setattr("os.fsync", during)
    spool.append(b"two")
    assert done.wait(PATIENCE_S)
    (file,) = spool.folder.glob(f"*{SUFFIX}")
    with file.open() as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert records(spool.folder) == [b"one", b"two"]


def test_callers_that_wait_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All disk work of ``append`` is one call through ``blocking``; callers that arrive during one share the next.
    Each gets only its own error."""
    calls: list[int] = []

    def counted(work: Callable[..., T], /, *args: object) -> T:
        (batch,) = args
        assert isinstance(batch, list)
        calls.append(len(batch))
        if len(calls) == 1:
            eventually(lambda: len(made._waiting) == 8, "the others to wait")
        return work(*args)

    def append(payload: bytes) -> str:
        try:
            made.append(payload)
        except NoRoom as error:
            return str(error)
        return "stored"

    made = Spool(tmp_path, 100_000, blocking=counted)
    payloads = [b"first", *(b"%d" % n for n in range(7)), bytes(200_000)]
    with ThreadPoolExecutor(len(payloads)) as threads:
        first = threads.submit(append, payloads[0])
        eventually(lambda: calls, "the first to write")
        said = [first, *(threads.submit(append, each) for each in payloads[1:])]
        assert [each.result() for each in said] == ["stored"] * 8 + ["the spool is full (SPOOL_MAX)"]
    assert calls == [1, 8]
    assert sorted(records(tmp_path)) == sorted(payloads[:-1])


def test_no_caller_of_an_interrupted_write_succeeds(tmp_path: Path) -> None:
    """The caller that writes for others may be ended in the middle: they get an error, and the next call works."""
    sizes: list[int] = []

    class Ended(BaseException):
        """As gunicorn's time-out."""

    def end_the_second(work: Callable[..., T], /, *args: object) -> T:
        sizes.append(1)
        if len(sizes) == 1:
            eventually(lambda: len(made._waiting) == 2, "two others to wait")
        elif len(sizes) == 2:
            raise Ended
        return work(*args)

    made = Spool(tmp_path, 2**20, blocking=end_the_second)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(made.append, b"one")
        eventually(lambda: sizes, "the first to write")
        others = [threads.submit(made.append, b"two") for _ in range(2)]
        assert first.exception() is None
        assert {type(each.exception()) for each in others} == {Ended, NoRoom}
    made.append(b"three")
    assert records(tmp_path) == [b"one", b"three"]


def test_a_folder_that_is_removed_again_and_again(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """``append`` raises, so that no callback is answered 200 for a record without a file."""
    sync = os.fsync

    def remove(fd: int) -> None:
        sync(fd)
        shutil.rmtree(spool.folder, ignore_errors=True)

    monkeypatch.setattr("os.fsync", remove)
    with pytest.raises(NoRoom):
        spool.append(b"one")
    monkeypatch.undo()
    spool.append(b"two")
    assert records(spool.folder) == [b"two"]


@pytest.mark.parametrize("go", [_removed, _moved])
def test_a_folder_that_is_gone_before_the_new_file_has_its_name(
    go: Callable[[Path], None], spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file is made: the callback is stored, and not refused."""
    write = files._write
    left = [go]

    def write_and_go(fd: int, data: bytes) -> None:
        write(fd, data)
        if left:
            left.pop()(spool.folder)

    monkeypatch.setattr(files, "_write", write_and_go)
    spool.append(b"one")
    assert not left
    assert records(spool.folder) == [b"one"]


def test_a_file_that_several_threads_write_at_once_is_always_whole(tmp_path: Path) -> None:
    """No write fails because of another, and the file has the content of one of them."""
    path, contents = tmp_path / "kept", [bytes([n]) * 5000 for n in range(8)]
    with ThreadPoolExecutor(len(contents)) as threads:
        for _ in range(20):
            list(threads.map(lambda content: keep_bytes(path, content), contents))
            assert path.read_bytes() in contents
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """The earlier content stays, and no other file is left."""
    keep_bytes(tmp_path / "kept", b"before")
    script = (
        "import resource, signal, sys; from pathlib import Path; from app.spool.files import keep_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "keep_bytes(Path(sys.argv[1]), bytes(20))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "kept")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("kept", b"before")]
