"""Handlers in a module outside of the repository: loaded, retried, timed out, isolated; tested without a server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.servers import ROOT, Emulator, Service, Valkey, as_environment, eventually, free_port
from harness.settings import make_settings
from tests.workers.news import tell

MODULE = """
import os, signal, sys, time
from pathlib import Path
from workers.handlers import Event, Job, Later, handler

HERE = Path(__file__).parent

def note(name: str, event: Event) -> int:
    with (HERE / name).open("a") as log:
        log.write(f"{time.time()} {event.event_id}\\n")
    return len((HERE / name).read_text().splitlines())

@handler(tag="VoiceSeparate", state="Success")
def fine(event: Event, job: Job) -> None:
    note("fine", event)

@handler(tag="Hangs", tries=2, timeout=1, backoff=0.1)
def hangs(event: Event, job: Job) -> None:
    note("hangs", event)
    time.sleep(60)

@handler(tag="Exits", tries=3, backoff=0.1)
def exits(event: Event, job: Job) -> None:
    note("exits", event)
    os._exit(1)

@handler(tag="Quits", tries=2, backoff=0.1)
def quits(event: Event, job: Job) -> None:
    sys.exit("enough")

@handler(tag="Later", tries=3, backoff=3600)
def waits(event: Event, job: Job) -> None:
    if note("waits", event) == 1:
        raise Later(0.5, "the archive is locked")

def hide(function):
    return lambda event, job: function(event, job)

@handler(tag="Hidden", name="hidden")
@hide
async def hidden(event: Event, job: Job) -> None:
    note("hidden", event)

@handler(tag="Eats", tries=2, backoff=0.1)
def eats(event: Event, job: Job) -> None:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    hoard = []
    while True:
        hoard.append(bytearray(1 << 26))
"""


@pytest.fixture(scope="module")
def service(
    valkey: Valkey, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One for all tests: each looks at the runs of its own jobs."""
    folder, port = tmp_path_factory.mktemp("mine"), free_port()
    (folder / "my_handlers.py").write_text(MODULE)
    settings = make_settings(
        valkey.url,
        public_url=f"http://127.0.0.1:{port}",
        ci_endpoint=emulator.url,
        check_outputs=False,
        handlers="my_handlers",
    )
    with Service(settings, port, folder, PYTHONPATH=str(folder), WEB_CONCURRENCY="1") as running:
        yield running


def run_of(service: Service, job_id: str, state: str) -> Any:
    """The job's only run, once it is in that state."""

    def look() -> Any:
        runs = service.services.store.runs.of_job(job_id)
        return runs[0] if [run.state for run in runs] == [state] else None

    return eventually(look, f"the run to be {state}")


def test_a_handler_that_hangs_is_stopped(service: Service) -> None:
    """Each try ends after its timeout; the run of another job is performed."""
    hanging, _ = tell(service.services, Tag="Hangs")
    fine, _ = tell(service.services)
    assert run_of(service, fine, "done")
    run = run_of(service, hanging, "failed")
    # On a machine that stalls for 5 s the watcher may end the process first; not each time.
    errors = [each["error"] for each in run.tries]
    assert len(errors) == 2 and "took longer than 1 s" in errors
    assert all(each.startswith("took longer than ") for each in errors)
    assert all(each["ms"] < 20_000 for each in run.tries)


def test_a_handler_that_ends_its_process_harms_no_other_run(service: Service) -> None:
    """Each start counts as a try, and all other runs, also of the same batch, are performed."""
    others = [tell(service.services)[0] for _ in range(10)]
    poison, _ = tell(service.services, Tag="Exits")
    others += [tell(service.services)[0] for _ in range(10)]
    for job_id in others:
        assert run_of(service, job_id, "done")
    run = run_of(service, poison, "failed")
    assert len(run.tries) == 3
    assert all("exited with code 1" in each["error"] for each in run.tries)


def test_sys_exit_is_an_error_like_others(service: Service) -> None:
    """``SystemExit`` is the error of the try, and the handler is tried again."""
    job_id, _ = tell(service.services, Tag="Quits")
    assert [each["error"] for each in run_of(service, job_id, "failed").tries] == ["SystemExit: enough"] * 2


def test_a_handler_that_runs_out_of_memory_is_tried_again(service: Service) -> None:
    """It is an error of that try, and the worker goes on."""
    hungry, _ = tell(service.services, Tag="Eats")
    fine, _ = tell(service.services)
    assert run_of(service, fine, "done")
    assert len(run_of(service, hungry, "failed").tries) == 2


def test_a_handler_that_raises_later_is_tried_again(service: Service) -> None:
    """After the pause that ``Later`` names instead of the back-off of an hour; its reason is the error of that try."""
    job_id, _ = tell(service.services, Tag="Later")
    run = run_of(service, job_id, "done")
    assert [each["error"] for each in run.tries] == ["later: the archive is locked", None]


def test_a_worker_that_is_killed_loses_nothing(service: Service) -> None:
    """Runs of a dead worker start again when there is a worker again."""
    jobs = [tell(service.services)[0] for _ in range(5)]
    service.worker.clear()
    jobs += [tell(service.services)[0] for _ in range(5)]
    service.worker.start()
    for job_id in jobs:
        assert run_of(service, job_id, "done")


IMPORT = "from workers.handlers import handler\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
        (IMPORT + "@handler(name='a|b')\ndef f(e, j): ...", "no | in a name"),
        (IMPORT + "@handler()\nasync def f(e, j): ...", "'broken.f' is an `async def`"),
        (IMPORT + "@handler()\ndef f(e, j):\n    yield", "'broken.f' is a generator"),
        (IMPORT + "@handler()\nasync def f(e, j):\n    yield", "'broken.f' is an async generator"),
        (IMPORT + "@handler()\ndef f(job): ...", "does not take them: (job)"),
        (IMPORT + "@handler()\ndef f(e, j, *, db): ...", "does not take them: (e, j, *, db)"),
        (IMPORT + "@handler(state='success')\ndef f(e, j): ...", "state='success', which no event has"),
        (IMPORT + "@handler(state=['Success', ''])\ndef f(e, j): ...", "state='', which no event has"),
        (IMPORT + "@handler(tag='')\ndef f(e, j): ...", "empty tag"),
        (IMPORT + "def f(e, j): ...", "declares no handler"),
    ],
)
@pytest.mark.parametrize("process", ["workers.worker", "workers.relay"])
def test_a_broken_module_stops_the_start(tmp_path: Path, text: str, said: str, process: str) -> None:
    """Worker and relay exit with code 2 and one message that names the setting, the module and the fault."""
    assert said in refused_start(tmp_path, text, process)


def refused_start(tmp_path: Path, text: str, process: str) -> str:
    """The error output of a process that is started with a module of this text."""
    (tmp_path / "broken.py").write_text(text)
    environment = as_environment(make_settings("unix:///nowhere", handlers="broken"))
    ended = subprocess.run(
        [sys.executable, "-m", process],
        cwd=ROOT, env=os.environ | environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "HANDLERS names 'broken'" in ended.stderr
    assert "registry.py" not in ended.stderr, "the place of the fault is in the user's own module"
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("modules", "files"),
    [
        (["workers.handlers"], {}),
        (["mine"], {"mine.py": IMPORT + "@handler(state='Success')\ndef f(event, job, retries=3): ..."}),
        (["mine"], {"mine.py": IMPORT + "from functools import partial, wraps\n"
                    "def given(f):\n    @wraps(f)\n    def g(*both): return f(*both, None)\n    return g\n"
                    "@handler()\n@given\ndef f(event, job, session): ..."}),
        (["all_of_mine"], {"all_of_mine/__init__.py": "from . import one", "all_of_mine/one.py":
                           IMPORT + "@handler()\ndef f(event, job): ..."}),
        (["one", "two"], {"one.py": "import two\n" + IMPORT + "@handler()\ndef f(event, job): ...",
                          "two.py": IMPORT + "@handler()\ndef f(event, job): ..."}),
        (["one", "two"], {"one.py": IMPORT + "@handler()\ndef f(event, job): ...", "two.py": "from one import f"}),
    ],
)  # fmt: skip
def test_each_valid_kind_of_module_is_accepted(
    tmp_path: Path, modules: list[str], files: dict[str, str]
) -> None:
    """Handlers with defaults or decorators, packages that import their parts, modules that import each other."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    ended = subprocess.run(
        [sys.executable, "-m", "workers.import_check", *modules],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_a_handler_that_returns_a_coroutine_is_a_failure(service: Service) -> None:
    """A decorator may hide an `async def` from the check at the start."""
    job_id, _ = tell(service.services, Tag="Hidden")
    assert "returned a coroutine" in run_of(service, job_id, "failed").tries[0]["error"]


@pytest.mark.parametrize("form", ["JSON", "XML"])
def test_ones_own_handlers_can_be_tested(service: Service, tmp_path: Path, form: str) -> None:
    """As docs/handlers.md says: a callback of the running service is recorded, and a test with it needs no server."""
    mine = tmp_path / "srv"
    mine.mkdir()
    page = (ROOT / "docs" / "handlers.md").read_text()
    for name, text in re.findall(r"```python\n# /srv/mine/(\S+)\n(.*?)```", page, re.S):
        (mine / name).write_text(text)
    (record,) = re.findall(r"```sh\n(.*jobs raw.*\n)```", page)
    (run,) = re.findall(r"```sh\n(.*pytest.*\n)```", page)
    job_id = json.loads(shell(service, f"flask trigger VoiceSeparate --format {form}", mine))["job_id"]
    shell(service, record.replace("JOB_ID", job_id), mine)
    assert (mine / "recorded").read_bytes().startswith(b"{" if form == "JSON" else b"<")
    assert "1 passed" in shell(service, run, mine)


def shell(service: Service, line: str, mine: Path) -> str:
    """Run a line of the page in this checkout, with the folder and the environment of the tests."""
    bin_ = f"{Path(sys.executable).parent}/"
    line = line.replace("/srv/mine", str(mine)).replace(".venv/bin/", "")
    environment = os.environ | as_environment(service.settings)
    environment["PATH"] = f"{bin_}:{environment['PATH']}"
    ended = subprocess.run(
        ["sh", "-c", line],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
