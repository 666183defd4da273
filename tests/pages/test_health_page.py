"""Health: what works and what does not, with what to do; lanes are paused and resumed."""

from __future__ import annotations

import re

import requests
from playwright.sync_api import Page, expect

from harness.servers import Web
from tests.pages.signed_in import sign_in


def test_missing_processes_are_shown_with_advice(page: Page, web: Web) -> None:
    """There is a web process alone: no relay, no worker."""
    sign_in(page, web)
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("heading", name="Health")).to_contain_text("degraded")
    expect(page.locator(".parts")).to_contain_text("python -m workers.relay")
    expect(page.locator(".parts")).to_contain_text("python -m workers.worker")


def test_a_lane_is_paused_and_resumed(page: Page, web: Web) -> None:
    """The page names who has paused it."""
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


def test_a_red_part_links_to_the_runbook(page: Page, web: Web) -> None:
    """One click from the part that fails to what to do about it."""
    sign_in(page, web, path="/health")
    page.locator(".parts tr", has_text="Relay").get_by_role("link", name="Runbook").click()
    expect(page).to_have_url(f"{web.url}/health/runbook#relay-missing")
    expect(page.get_by_role("heading", name="Relay missing")).to_be_in_viewport()


def test_the_audit_list_on_the_page_updates_by_itself(page: Page, web: Web) -> None:
    """An action elsewhere appears without a reload."""
    sign_in(page, web, path="/health")
    expect(page.locator(".audit")).to_contain_text("No action yet")
    answer = requests.post(
        f"{web.url}/v1/lanes/default/pause", headers={"Authorization": f"Bearer {web.key}"}, timeout=60
    )
    assert answer.status_code == 200
    expect(page.locator(".audit")).to_contain_text("lanes.pause")
    expect(page.locator(".audit")).to_contain_text("by api")
