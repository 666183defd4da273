"""SIGHUP with a fault in settings, configuration or code: the old ones stay in use, and one line says why."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests
from pydantic import SecretStr

from app import settings as all_settings
from app.core.tokens import Binding, CallbackKey, mint, new_nonce
from harness.servers import PATIENCE_S, Valkey, Web, as_environment, eventually, free_port
from harness.settings import make_settings
from tests.callbacks import body, new_job_id
from tests.e2e.test_graceful import reload, serving, workers_of
from tests.store.jobs.populated import new_submission
from tests.store.said import said, tell

OLD, NEW = "k1:the-old-secret-of-the-tests-0123456789", "k2:the-new-secret-of-the-tests-0123456789"
WEBHOOK = "whsec_" + "A" * 44


class Installation:
    """A web process that reads its settings from files in a folder of its own, as in a deployment."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.keys, self.hooks = folder / "callback_keys", folder / "forward_keys"
        self.keys.write_text(OLD)
        self.hooks.write_text(WEBHOOK)
        self.env = folder / ".env"
        settings = make_settings(redis_url, spool_dir=str(folder / "spool"))
        values = as_environment(settings)
        del values["CALLBACK_KEYS"]
        self.write_env(values | {"CALLBACK_KEYS_FILE": str(self.keys), "FORWARD_KEYS_FILE": str(self.hooks)})
        self.web = Web(settings, free_port(), folder)
        # Without settings in the environment, which would override the files.
        outside = {name.upper() for name in all_settings.Settings.model_fields}
        environment = {name: value for name, value in os.environ.items() if name not in outside}
        self.web.web._environment = environment | {
            "HOST": "127.0.0.1",
            "PORT": str(self.web.port),
            "PYTHONPATH": str(Path.cwd()),
        }
        self.web.web.cwd = folder
        self.web.web._command[3] = str(Path.cwd() / "gunicorn.conf.py")

    def write_env(self, values: dict[str, str]) -> None:
        self.values = values
        self.env.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))

    def answer(self, key: str) -> int:
        """The status of the answer to a callback whose URL this key has signed."""
        name, _, secret = key.partition(":")
        token = mint(Binding(nonce=new_nonce()), [CallbackKey(name, SecretStr(secret))])
        return requests.post(
            f"{self.web.url}/callbacks/{token}", data=body(new_job_id()), timeout=PATIENCE_S
        ).status_code

    def refusals(self) -> list[str]:
        return [line for line in self.web.web.text().splitlines() if "The reload was refused" in line]

    def refuse(self) -> str:
        """Send SIGHUP, and return the line by which the reload is refused."""
        before = len(self.refusals())
        self.web.web.signal(signal.SIGHUP)
        lines: list[str] = eventually(
            lambda: len(now := self.refusals()) > before and now, f"a refusal: {self.web.web.text()}"
        )
        assert len(lines) == before + 1
        return lines[-1]


@pytest.fixture
def installed(valkey: Valkey, tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path, valkey.url)
    with installation.web:
        # The block begins when one worker answers.
        eventually(lambda: len(serving(installation.web)) == 2, "both workers to serve")
        yield installation


def break_hooks(installed: Installation) -> None:
    installed.hooks.write_text("nonsense")


def break_keys(installed: Installation) -> None:
    installed.keys.write_text("nonsense")


def lose_keys(installed: Installation) -> None:
    installed.keys.unlink()


def break_env(installed: Installation) -> None:
    installed.write_env(installed.values | {"COS_BUCKET": "nonumber"})


def move_redis(installed: Installation) -> None:
    installed.write_env(installed.values | {"REDIS_URL": f"redis://127.0.0.1:{free_port()}"})


MISTAKES: dict[Callable[[Installation], None], str] = {
    break_hooks: "FORWARD_KEYS",
    break_keys: "CALLBACK_KEYS",
    lose_keys: "CALLBACK_KEYS",
    break_env: "COS_BUCKET",
    move_redis: "REDIS_URL",
}
"""Each mistake, and the setting that its line of refusal names."""


def test_a_wrong_setting_changes_nothing(installed: Installation) -> None:
    """The same workers keep the old settings, and one line names the wrong one. Workers that replace killed ones have
    the old settings too; after the fix, a reload loads the new ones."""
    before = workers_of(installed.web.web.pid)
    values, keys, hooks = installed.values, NEW + "," + OLD, WEBHOOK
    for mistake, word in MISTAKES.items():
        installed.keys.write_text(keys)
        installed.hooks.write_text(hooks)
        installed.write_env(values)
        mistake(installed)
        line = installed.refuse()
        assert word in line
        assert "secret-of-the-tests" not in line
        assert workers_of(installed.web.web.pid) == before
        assert (installed.answer(OLD), installed.answer(NEW)) == (200, 403)

    psutil.Process(min(before)).kill()
    eventually(lambda: len(workers_of(installed.web.web.pid) - before) == 1, "another worker")
    os.kill(max(before), signal.SIGKILL)
    eventually(lambda: len(workers_of(installed.web.web.pid) - before) == 2, "two other workers")
    eventually(installed.web.ready, f"them to serve: {installed.web.web.text()}")
    assert (installed.answer(OLD), installed.answer(NEW)) == (200, 403)

    installed.keys.write_text(keys)
    installed.hooks.write_text(hooks)
    installed.write_env(values)
    reload(installed.web)
    assert (installed.answer(OLD), installed.answer(NEW)) == (200, 200)


def test_a_reload_without_a_key_that_an_open_job_needs_is_refused(installed: Installation) -> None:
    """The new keys are valid, but the job's callback would be refused; the old key still works."""
    store = installed.web.services.store
    tell(store, said("j1", "Submitted"), source="submit", submission=new_submission(store))
    installed.keys.write_text(NEW)
    assert "k1" in installed.refuse()
    assert installed.answer(OLD) == 200


def test_each_of_several_refused_reloads_is_logged(installed: Installation) -> None:
    """After three refused reloads the web service still answers."""
    break_hooks(installed)
    for _ in range(3):
        installed.refuse()
    time.sleep(0.2)
    assert installed.answer(OLD) == 200


def test_a_configuration_of_gunicorn_that_cannot_be_read(installed: Installation) -> None:
    """A half-written gunicorn.conf.py is refused by name, and the same workers go on."""
    mine = installed.folder / "gunicorn.conf.py"
    mine.write_text((Path.cwd() / "gunicorn.conf.py").read_text())
    installed.web.web._command[3] = str(mine)
    installed.web.restart_web()
    # It returns when one worker answers.
    eventually(lambda: len(workers_of(installed.web.web.pid) & serving(installed.web)) == 2, "both to serve")
    before = workers_of(installed.web.web.pid)
    mine.write_text("workers = (\n")
    assert "gunicorn.conf.py" in installed.refuse()
    assert (workers_of(installed.web.web.pid), installed.answer(OLD)) == (before, 200)


def test_code_that_cannot_be_loaded(installed: Installation) -> None:
    """New code that cannot be imported is refused, and the same workers go on; gunicorn alone would end."""
    (installed.folder / "app").symlink_to(Path.cwd() / "app")
    (installed.folder / "server").symlink_to(Path.cwd() / "server")
    (installed.folder / "defusedxml.py").write_text("import nothing_of_that_name\n")
    before = workers_of(installed.web.web.pid)
    line = installed.refuse()
    assert "nothing_of_that_name" in line
    assert (workers_of(installed.web.web.pid), installed.answer(OLD)) == (before, 200)
