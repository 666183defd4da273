"""A process imports only what it needs: that saves memory, and time at each start."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import store

ROOT = Path(__file__).parents[2]
SDK = ("qcloud_cos", "requests", "crcmod", "xmltodict", "Crypto")
"""Tencent's SDK and what only it needs."""

WEB = ("flask", "werkzeug", "jinja2", "prometheus_client", "gunicorn", "gevent")
UNUSED = ("redis.asyncio.client", "redis.asyncio.connection")
"""The asyncio half of redis-py, which redis-py imports by default."""


def _command(*words: str) -> str:
    return (
        "from flask.cli import FlaskGroup; from app import create_app\n"
        f"try: FlaskGroup(create_app=create_app).main({list(words)!r}, standalone_mode=False)\n"
        "except SystemExit: pass"
    )


VIEWS = ("app.api", "app.pages", "app.receiver.views", "prometheus_client", "gunicorn", "gevent")
"""Modules that answer requests."""

STARTS = {
    "web": ("from app import create_app; create_app()", (*SDK, *UNUSED, "rq", "workers")),
    "relay": ("import workers.relay.__main__", (*SDK, *UNUSED, *WEB)),
    "worker": ("import workers.worker.__main__", (*UNUSED, *WEB)),
    "flask --help": (
        _command("--help"),
        (*SDK, *UNUSED, *VIEWS, "redis", "pydantic", "app.settings", "app.store"),
    ),
    "flask jobs list": (
        _command("jobs", "list"),
        (*SDK, *UNUSED, *VIEWS, "app.cli.submit", "app.cli.jobs.many", "app.submitter", "app.doctor"),
    ),
    "flask callback-url": (_command("callback-url"), (*SDK, *UNUSED, *VIEWS, "app.cli.jobs", "app.doctor")),
    "flask callback-url list": (_command("callback-url", "list"), (*SDK, *UNUSED, *VIEWS, "app.submitter")),
    "flask refusals list": (
        _command("refusals", "list"),
        (*SDK, *UNUSED, *VIEWS, "app.receiver", "app.submitter", "app.cli.jobs"),
    ),
    "flask submit --help": (
        _command("submit", "voice-separate", "--help"),
        (*SDK, *UNUSED, *VIEWS, "app.receiver", "app.cli.jobs", "app.doctor"),
    ),
    "flask doctor --help": (
        _command("doctor", "--help"),
        (*SDK, *UNUSED, *VIEWS, "app.submitter", "app.cli.jobs"),
    ),
    **{
        f"flask {name} list": (
            _command(name, "list"),
            (*SDK, *UNUSED, *VIEWS, "app.receiver", "app.submitter", "app.doctor", "app.cli.jobs"),
        )
        for name in ("keys", "failures", "lanes", "spool")
    },
    "flask handlers list": (
        _command("handlers", "list"),
        (*SDK, *UNUSED, *VIEWS, "redis", "pydantic", "app.settings", "app.store", "workers"),
    ),
    "the process of flask handlers list": (
        "from workers.handlers_command import group; group(['list'], standalone_mode=False)",
        (*SDK, *UNUSED, *WEB, "redis", "app.services", "app.store.whole", "app.provider", "app.ci.incoming"),
    ),
}
"""A process or command: how it starts, and what must not be imported by then."""


def test_every_name_is_that_of_a_module() -> None:
    """A module that was renamed would be missing from each start."""
    names = {name for _, absent in STARTS.values() for name in absent}
    assert [name for name in sorted(names) if importlib.util.find_spec(name) is None] == []


@pytest.mark.parametrize("name", STARTS)
def test_a_start_leaves_out_what_is_not_needed_yet(name: str) -> None:
    start, absent = STARTS[name]
    assert not _imported(start, absent)


def test_a_command_starts_without_garbage_collections() -> None:
    """At most two run while a command is imported (dozens took a tenth of its time); then they are on again."""
    watch = (
        "import gc\nseen = []\n"
        "from flask.cli import FlaskGroup; from app import create_app; from app.cli import LateCommand\n"
        "class Watched(LateCommand):\n"
        "    def make_context(self, *args, **more):\n"
        "        before = gc.get_stats()[0]['collections']\n"
        "        self.command\n"
        "        seen.append((gc.get_stats()[0]['collections'] - before <= 2, gc.isenabled()))\n"
        "        return super().make_context(*args, **more)\n"
        "import app.cli\napp.cli.LateCommand = Watched\n"
    )
    shown = _run(watch + _command("jobs", "list") + "\nprint('imported', seen[0])")
    assert shown.splitlines()[-1] == "imported (True, True)"


def test_a_call_to_ci_imports_the_sdk() -> None:
    """The first call imports the SDK; so the names in ``SDK`` are those of modules that exist."""
    call = (
        "from app.provider import Provider, ProviderConfig\n"
        "Provider(ProviderConfig('id', 'key')).presigned_url('demo-1250000000', 'ap-chongqing', 'key', 60)"
    )
    assert {"qcloud_cos", "requests", "crcmod", "xmltodict"} <= _imported(call, SDK)


def test_a_deferred_package_can_be_imported_later() -> None:
    """A user's handler may use redis-py's asyncio half."""
    _run("import app, redis, redis.asyncio as later\nassert later.Redis.__module__ == 'redis.asyncio.client'")


def test_flask_routes_has_the_views() -> None:
    """`flask` gets an application without views only when it looks for one of our commands."""
    shown = _run(_command("routes") + "\nprint('imported')")
    assert "/callbacks/" in shown
    assert "/v1/jobs" in shown


def test_no_opentelemetry_is_deployed() -> None:
    """redis-py imports it wherever it is installed: a hundred modules in each process."""
    assert "opentelemetry" not in (ROOT / "requirements.txt").read_text()


def test_workers_share_the_sdk() -> None:
    """Their parent process imports it once, before it forks."""
    assert "qcloud_cos" in _imported("import workers.worker.__main__", SDK)


def test_the_sdk_logs_nothing_once_it_is_imported() -> None:
    """This includes the loggers that its modules make at import."""
    code = (
        "import logging; logging.basicConfig(level=logging.DEBUG)\n"
        "from app.provider import wire\n"
        "names = [name for name in logging.root.manager.loggerDict if name.startswith('qcloud_cos')]\n"
        "assert len(names) > 1, names\n"
        "assert not [name for name in names if logging.getLogger(name).isEnabledFor(logging.CRITICAL)]"
    )
    _run(code)


def _imported(start: str, names: tuple[str, ...]) -> set[str]:
    shown = _run(f"import sys\n{start}\nprint('imported', *(set({names!r}) & set(sys.modules)))")
    return set(shown.splitlines()[-1].split()[1:])


def _run(code: str) -> str:
    environment = os.environ | {
        "CALLBACK_KEYS": "k1:" + "a" * 43,
        "API_KEY": "ck_" + "b" * 32,
        "REDIS_URL": "redis://127.0.0.1:1/0",  # nothing listens there
        "COS_SECRET_ID": "id",
        "COS_SECRET_KEY": "a secret key",
        "COS_BUCKET": "demo-1250000000",
        "COS_REGION": "ap-chongqing",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_store_lists_the_module_of_each_of_its_names() -> None:
    """A name is imported when it is first used, by one list; mypy reads a second list, which is equal."""
    listed = ast.parse((ROOT / "app/store/__init__.py").read_text())
    imports = {
        alias.name: node.module
        for node in ast.walk(listed)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("app.")
        for alias in node.names
    }
    assert imports == store._MODULES
    assert set(store.__all__) == set(imports)
    assert all(getattr(store, name) is not None for name in imports)
