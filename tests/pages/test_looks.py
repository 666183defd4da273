"""All pages: accessible, at every width, in both colour schemes, and with untrusted text in every field."""

from __future__ import annotations

import pytest
import requests
from playwright.sync_api import Page, expect

from app.ci.report import STATES
from app.core.clock import now_ms, rfc3339
from app.pages.views.jobs import STATES_IN_ORDER
from app.store.audit.audit_list import AuditEntry
from app.store.refusals.refusal import Refusal
from harness.servers import Web
from tests.api.stored import miss, put
from tests.pages.signed_in import sign_in
from tests.pages.violations import violations
from tests.store.said import said, tell
from tests.workers.news import a_failure

REFUSAL = "0123456789ab"
PAGES = (
    "/", "/jobs/jone", "/jobs/jodd", "/failures", "/refusals", f"/refusals/{REFUSAL}", "/health", "/health/audit",
    "/health/runbook", "/submit",
)  # fmt: skip
ASKED = (("/", "cancel"), ("/failures", "dismiss"), ("/refusals", "retry"))
"""Pages that ask before an action on many."""
EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


@pytest.fixture
def furnished(web: Web) -> Web:
    """A job in doubt, one with the longest texts, jobs in both charts, a failure, a refusal, and an action in the audit
    list."""
    store = web.services.store
    put(store, "jone")
    for minutes in (1, 10, 90):
        put(store, f"jnew{minutes}", CreationTime=rfc3339(now_ms() - minutes * 60_000), EndTime=None)
    put(
        store,
        "j" + "x" * 127,
        Input={"BucketId": "b", "Object": "in/" + "long" * 100},
        State="y" * 60,
    )
    for state in ("Success", "Failed"):
        tell(store, said("jodd", state, "2024-03-05T13:59:59Z"))
    a_failure(web.services)
    long = "in/" + "long" * 100
    assert store.refusals.note(
        Refusal("malformed_json", long, "t", {}, ("jone",), body=long.encode(), id=REFUSAL)
    )
    store.lanes.declare(["slow"])
    store.audit.add(AuditEntry("ops", "api", "jobs.replay", ("jone", "j" + "x" * 127), {"tag": long[:160]}))
    return web


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1280])
def test_axe_finds_nothing(page: Page, furnished: Web, scheme: str, width: int) -> None:
    """On every page, also on those that ask for confirmation; and no page scrolls sideways."""
    web, found = furnished, {}

    def look(name: str) -> None:
        found[name] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name

    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{web.url}/login")
    look("/login")
    page.goto(f"{web.url}/docs/")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    look("/docs/")
    sign_in(page, web)
    for path in PAGES:
        page.goto(f"{web.url}{path}")
        look(path)
    for path, action in ASKED:
        page.goto(f"{web.url}{path}")
        page.get_by_label("Do").select_option(action)
        page.get_by_role("button", name="all that match").click()
        expect(page.get_by_role("heading")).to_contain_text("?")
        look(f"{action} at {path}")
    assert {name: each for name, each in found.items() if each} == {}


FOCUSABLE = (
    "a[href], button, input:not([type=hidden]), select, textarea, summary, audio, video, [tabindex='0']"
)
NUMBER_THEM = """(what) => {
    const all = [...document.querySelectorAll(what)].filter((each) => each.checkVisibility() && !each.disabled);
    all.forEach((each, n) => { each.dataset.n = n; });
    // At the top, also where a field has focused itself.
    all[0].focus();
    return all.map((each) => each.outerHTML.slice(0, 120));
}"""
FOCUSED = """() => {
    const at = document.activeElement, style = getComputedStyle(at);
    if (at === document.body) return null;
    return [at.dataset.n, style.outlineStyle !== "none" || style.boxShadow !== "none"];
}"""


@pytest.mark.parametrize("path", ["/login", *PAGES])
def test_the_keyboard_alone_reaches_everything(page: Page, furnished: Web, path: str) -> None:
    """The Tab key visits each control in the order of the page, and the focus is visible."""
    if path != "/login":
        sign_in(page, furnished)
    # What htmx fetches would replace the elements, without their numbers.
    page.route(
        "**/*", lambda route: route.abort() if "hx-request" in route.request.headers else route.continue_()
    )
    page.goto(f"{furnished.url}{path}")
    things = page.evaluate(NUMBER_THEM, FOCUSABLE)
    assert things
    reached: list[int] = []
    unseen: set[str] = set()
    # A player has several stops.
    for _ in range(len(things) * 2 + 20):
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        number, is_seen = focused
        reached.append(int(number))
        if not is_seen:
            unseen.add(things[int(number)])
        page.keyboard.press("Tab")
    assert [things[n] for n in range(len(things)) if n not in reached] == []
    assert reached == sorted(reached)
    assert not unseen


FAILING_IMAGE = """() => new Promise((failed) => {
    const image = new Image();
    image.onerror = failed;
    image.src = "x";
})"""


def test_untrusted_text_is_only_text(page: Page, web: Web) -> None:
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
    # What the text could have made has run or failed by the time at which an image like its own has.
    page.wait_for_load_state()
    page.evaluate(FAILING_IMAGE)


def test_headers(web: Web) -> None:
    """No inline script, no frame, no cache."""
    headers = requests.get(f"{web.url}/login", timeout=60).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_each_state_is_counted() -> None:
    """The counts have a fixed order for CI's six states."""
    assert sorted(STATES_IN_ORDER) == sorted(STATES)


def test_twenty_jobs_on_a_laptop_s_screen(page: Page, web: Web) -> None:
    """At 1280 by 800 pixels twenty jobs are visible without scrolling."""
    for n in range(25):
        put(web.services.store, f"j{n:02}")
    miss(web.services.store, "j20")
    sign_in(page, web)
    expect(page.locator("#rows tr")).to_have_count(25)
    boxes = [row.bounding_box() for row in page.locator("#rows tr").all()]
    assert sum(box is not None and box["y"] + box["height"] <= 800 for box in boxes) >= 20


def test_a_job_is_opened_and_replayed_by_keyboard(page: Page, web: Web) -> None:
    """From the top of the list to the job's page and its actions."""
    put(web.services.store, "jone")
    sign_in(page, web)
    for wanted in ("jone", "Replay"):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == wanted:
                break
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{web.url}/jobs/jone")
    expect(page.locator(".message")).to_contain_text("is replayed")


def test_the_api_s_reference_has_each_operation_and_model(page: Page, web: Web) -> None:
    """It loads nothing from another host; a link to a model opens it."""
    page.goto(f"{web.url}/docs/")
    document = requests.get(f"{web.url}/openapi.json", timeout=60).json()
    operations = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    shown = page.locator("details.operation").evaluate_all("(all) => all.map((each) => each.id)")
    assert sorted(shown) == sorted([*operations, *document["components"]["schemas"]])
    page.locator("#jobs_show > summary").click()
    page.locator("#jobs_show a", has_text="Job").first.click()
    expect(page.locator("#Job table")).to_be_visible()
    expect(page.locator("#Job table")).to_contain_text("Our record of the submission")


def test_the_api_s_reference_is_reached_by_keyboard(page: Page, web: Web) -> None:
    page.goto(f"{web.url}/docs/")
    page.locator("#jobs_show summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#jobs_show h3")).to_be_visible()
