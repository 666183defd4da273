"""A real browser, which may call only the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

from app.store.access.api_keys import SCOPES
from harness.servers import PATIENCE_S, Valkey, Web, free_port
from harness.settings import make_settings
from tests import browser as installed
from tests.pages.signed_in import signed_in

# Chromium of its own accord looks for updates, fonts and more: none of that is ours to test.
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


# Playwright's own limit is five seconds: too little on a busy machine.
expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a file: its event loop runs in this thread, and a second one cannot."""
    path = installed.find()
    if path is None:
        pytest.fail(
            "no browser: run `python -m tests.browser`, which installs one or names it", pytrace=False
        )
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS.split())
        yield running
        running.close()


@pytest.fixture(scope="module")
def shared_web(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    settings = make_settings(valkey.url)
    with Web(settings, free_port(), tmp_path_factory.mktemp("web"), WEB_CONCURRENCY="1") as running:
        yield running


@pytest.fixture
def web(shared_web: Web) -> Web:
    """One process for all tests of a file; each begins with nothing stored and a key of its own."""
    db = shared_web.services.store.db
    if stored := list(db.client.scan_iter(f"{db.prefix}*")):
        db.client.delete(*stored)
    shared_web.key = shared_web.services.store.api_keys.create("tests", frozenset(SCOPES), replace=True)
    return shared_web


@pytest.fixture
def visitor(app: Flask, key: dict[str, str]) -> FlaskClient:
    """A signed-in session of a key with every scope, without a browser."""
    return signed_in(app, key["Authorization"].removeprefix("Bearer "))


@pytest.fixture
def page(chromium: Browser, web: Web) -> Iterator[Page]:
    """A new tab. Afterwards there was no error, no dialog, and no request to another host."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_S * 1000)
    tab = context.new_page()
    wrong: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def blocked(said: ConsoleMessage) -> None:
        if "Content Security Policy" in said.text:
            wrong.append(said.text)

    def called(request: Request) -> None:
        if not request.url.startswith((web.url, "data:", "blob:")):
            wrong.append(request.url)

    tab.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    tab.on("dialog", dismiss)
    tab.on("console", blocked)
    tab.on("request", called)
    yield tab
    context.close()
    assert wrong == []
