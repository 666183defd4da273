"""All pages: accessible, at every width, in both schemes, and with strangers' text in every field."""

from __future__ import annotations

import json

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from harness.servers import Web
from tests.api.stored import miss, put
from tests.pages.signed_in import sign_in

PAGES = (
    "/",
    "/jobs/jone",
    "/failures",
    "/refusals",
    "/health",
    "/health/audit",
    "/health/runbook",
    "/submit",
)
EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']][:3])}" for each in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1280])
def test_axe_finds_nothing(page: Page, web: Web, scheme: str, width: int) -> None:
    """On every page; and no page scrolls sideways."""
    put(web.services.store, "jone")
    put(
        web.services.store,
        "j" + "x" * 127,
        Input={"BucketId": "b", "Object": "in/" + "long" * 100},
        State="y" * 60,
    )
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{web.url}/login")
    found = {"/login": violations(page)}
    page.goto(f"{web.url}/docs/")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found["/docs/"] = violations(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    sign_in(page, web)
    for path in PAGES:
        page.goto(f"{web.url}{path}")
        found[path] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    assert {path: each for path, each in found.items() if each} == {}


def test_a_stranger_s_text_is_only_text(page: Page, web: Web) -> None:
    """Markup in any field is shown, never run; the page's policy would not let it run either."""
    put(
        web.services.store,
        "<script>alert(3)<script>",
        State=EVIL,
        Tag=EVIL,
        Message=EVIL,
        UserData=EVIL,
        Input={"BucketId": EVIL, "Object": EVIL},
        Operation={"MediaResult": {"OutputFile": {"ObjectName": [EVIL], "Bucket": EVIL}}},
    )
    sign_in(page, web)
    expect(page.locator("#rows")).to_contain_text("onerror=alert(1)")
    page.locator("#rows th a").first.click()
    expect(page.locator("#normalized")).to_contain_text("onerror=alert(1)")
    assert page.locator("main img, main script").count() == 0
    page.wait_for_timeout(300)


def test_headers(web: Web) -> None:
    """No inline script, no frame, no cache."""
    headers = requests.get(f"{web.url}/login", timeout=10).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_twenty_jobs_on_a_laptop_s_screen(page: Page, web: Web) -> None:
    """1280 by 800, nothing scrolled."""
    for n in range(25):
        put(web.services.store, f"j{n:02}")
    miss(web.services.store, "j20")
    sign_in(page, web)
    boxes = [row.bounding_box() for row in page.locator("#rows tr").all()]
    assert sum(box is not None and box["y"] + box["height"] <= 800 for box in boxes) >= 20


def test_everything_can_be_reached_by_keyboard(page: Page, web: Web) -> None:
    """From the top of the list into a job, and in it to its actions."""
    put(web.services.store, "jone")
    sign_in(page, web)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "jone":
            break
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{web.url}/jobs/jone")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Ask CI now", "Replay", "Copy"} <= reached


def test_the_api_s_reference_has_each_operation_and_model(page: Page, web: Web) -> None:
    """From our own server alone; a link to a model opens it."""
    page.goto(f"{web.url}/docs/")
    document = requests.get(f"{web.url}/openapi.json", timeout=10).json()
    operations = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    shown = page.locator("details.operation").evaluate_all("(all) => all.map((each) => each.id)")
    assert sorted(shown) == sorted([*operations, *document["components"]["schemas"]])
    page.locator("#jobs_show > summary").click()
    page.locator("#jobs_show a", has_text="Job").first.click()
    expect(page.locator("#Job table")).to_be_visible()
    expect(page.locator("#Job table")).to_contain_text("What is recorded of our own submission")


def test_the_api_s_reference_is_reached_by_keyboard(page: Page, web: Web) -> None:
    page.goto(f"{web.url}/docs/")
    page.locator("#jobs_show summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#jobs_show h3")).to_be_visible()
