"""The pictures of the README, of a stack that really runs: ``python -m docs.screenshots``.

It starts Valkey, the service, its worker and relay, and the emulator of CI, on free ports; Chromium takes the pictures.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from docs.shown import jobs
from harness.servers import PATIENCE_S, Emulator, Service, Valkey, free_port
from harness.settings import make_settings
from tests import browser

FOLDER: Final = Path(__file__).parent / "pictures"
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_SIZE: Final[ViewportSize] = {"width": 1200, "height": 620}
"""Small files, in which the text can still be read where the README is shown."""

_PATIENCE_MS: Final = PATIENCE_S * 1000


def main(folder: Path = FOLDER) -> None:
    """Writes ``jobs-light.png``, ``job-light.png``, and the same in dark."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, _stack(Path(place)) as (service, emulator):
        jobs.tell(service, emulator)
        job_id = jobs.run(service, emulator)
        jobs.wait(service)
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=_browser(), args=["--no-sandbox"])
            for scheme in SCHEMES:
                page = chromium.new_page(viewport=_SIZE, color_scheme=scheme)
                page.set_default_timeout(_PATIENCE_MS)
                _sign_in(page, service)
                page.screenshot(path=folder / f"jobs-{scheme}.png")
                page.goto(f"{service.url}/jobs/{job_id}")
                page.screenshot(path=folder / f"job-{scheme}.png")
                page.close()
            chromium.close()


def _browser() -> str:
    """Raises ``FileNotFoundError``."""
    path = browser.find()
    if path is None:
        raise FileNotFoundError(
            "There is no browser. Run `python -m tests.browser`, which installs one or names it."
        )
    return path


@contextmanager
def _stack(place: Path) -> Iterator[tuple[Service, Emulator]]:
    with ExitStack() as running:
        folders = {name: place / name for name in ("valkey", "emulator", "service")}
        for folder in folders.values():
            folder.mkdir()
        valkey = running.enter_context(Valkey(folders["valkey"]))
        patient = ("--queue-seconds", "3600", "--run-seconds", "3600")
        emulator = running.enter_context(Emulator(folders["emulator"], free_port(), *patient))
        port = free_port()
        settings = make_settings(
            valkey.url,
            public_url=f"http://127.0.0.1:{port}",
            ci_endpoint=emulator.url,
            trust_outputs="demo-1250000000",
            handlers="docs.shown.handlers",
        )
        yield running.enter_context(Service(settings, port, folders["service"])), emulator


def _sign_in(page: Page, service: Service) -> None:
    page.goto(service.url)
    page.get_by_label("API key").fill(
        service.services.store.api_keys.create("ops", frozenset({"admin"}), replace=True)
    )
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#rows th").first).to_be_visible(timeout=_PATIENCE_MS)
    page.wait_for_load_state()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
