"""Health: what works and what does not, with what to do; lanes are paused and resumed."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from harness.servers import Web
from tests.pages.signed_in import sign_in


def test_what_is_missing_says_what_to_do(page: Page, web: Web) -> None:
    """There is a web process alone: no relay, no worker."""
    sign_in(page, web)
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("heading", name="Health")).to_contain_text("degraded")
    expect(page.locator(".parts")).to_contain_text("python -m workers.relay")
    expect(page.locator(".parts")).to_contain_text("python -m workers.worker")


def test_a_lane_is_paused_and_resumed(page: Page, web: Web) -> None:
    """It says who has paused it."""
    web.services.store.lanes.declare(["default", "slow"])
    sign_in(page, web)
    page.goto(f"{web.url}/health")
    page.get_by_role("button", name="Pause slow").click()
    expect(page.locator(".message")).to_contain_text("slow is paused")
    assert web.services.store.lanes.state("slow").paused  # type: ignore[union-attr]
    expect(page.get_by_text(re.compile("paused by"))).to_be_visible()
    page.get_by_role("button", name="Resume slow").click()
    expect(page.get_by_role("button", name="Pause slow")).to_be_visible()
    assert not web.services.store.lanes.state("slow").paused  # type: ignore[union-attr]
