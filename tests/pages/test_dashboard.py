"""The dashboard, in a real browser: jobs at a glance for whoever has a key, and nothing for anyone else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from app.store import Store
from harness.servers import Web
from tests.api.stored import confirm, miss, put
from tests.store.said import said, tell

ENDED = "2024-03-05T13:59:59Z"


def rows(page: Page) -> list[str]:
    return page.locator("#jobs tbody tr td:first-child").all_inner_texts()


def opened(page: Page, web: Web, key: str | None = None) -> None:
    page.goto(f"{web.url}/#key={key or web.key}")
    expect(page.locator("#jobs")).to_be_visible()


def test_without_a_key_it_asks_for_one(page: Page, web: Web) -> None:
    """A wrong key is told so; the right one shows the jobs."""
    put(web.services.store, "jsecret")
    page.goto(web.url)
    expect(page.locator("#login")).to_be_visible()
    expect(page.locator("#jobs")).to_be_hidden()
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Show jobs").click()
    expect(page.locator("#status")).to_contain_text("keys create")
    expect(page.locator("#login")).to_be_visible()
    page.get_by_label("API key").fill(web.services.store.api_keys.create("eyes", frozenset({"read"})))
    page.get_by_role("button", name="Show jobs").click()
    expect(page.locator("#jobs")).to_be_visible()
    assert rows(page) == ["jsecret"]


def test_a_key_without_read_is_told_so(page: Page, web: Web) -> None:
    page.goto(f"{web.url}/#key={web.services.store.api_keys.create('s', frozenset({'submit'}))}")
    expect(page.locator("#status")).to_contain_text("scope")
    expect(page.locator("#login")).to_be_visible()


def test_the_key_leaves_the_address_at_once(page: Page, web: Web) -> None:
    """It is not in the address, the history or a cookie; a reload knows it, another tab does not."""
    opened(page, web)
    assert page.url == f"{web.url}/"
    assert page.context.cookies() == []
    page.reload()
    expect(page.locator("#jobs")).to_be_visible()
    other = page.context.new_page()
    other.goto(web.url)
    expect(other.locator("#login")).to_be_visible()
    page.get_by_role("button", name="Forget key").click()
    expect(page.locator("#login")).to_be_visible()
    page.reload()
    expect(page.locator("#login")).to_be_visible()
    assert web.key not in web.web.text()


def test_jobs_appear_and_change_by_themselves(page: Page, web: Web) -> None:
    """Nobody has to reload."""
    opened(page, web)
    expect(page.locator("#empty")).to_be_visible()
    put(web.services.store, "jlive", State="Running", EndTime=None)
    expect(page.locator("#jobs tbody tr")).to_have_count(1, timeout=15_000)
    expect(page.locator("#jobs tbody")).to_contain_text("Running")
    put(web.services.store, "jlive")
    expect(page.locator("#jobs tbody")).to_contain_text("Success", timeout=15_000)
    expect(page.locator("#jobs tbody")).to_contain_text("out/voice.mp3")


def _doubted(store: Store) -> None:
    for state in ("Success", "Failed"):
        tell(store, said("jodd", state, ENDED))


def _missing(store: Store) -> None:
    confirm(store, "jodd")
    miss(store, "jodd")


def _not_confirmed(store: Store) -> None:
    put(store, "jodd")


@pytest.mark.parametrize(
    ("prepare", "word"),
    [(_doubted, "doubt"), (_missing, "missing"), (_not_confirmed, "not_confirmed")],
)
def test_a_success_that_something_speaks_against_looks_so(
    page: Page, web: Web, prepare: Callable[[Store], None], word: str
) -> None:
    """A doubt, outputs that are not confirmed or not there: named beside the state, which has another colour."""
    confirm(web.services.store, "jplain")
    prepare(web.services.store)
    opened(page, web)
    odd, plain = (page.locator("#jobs tbody tr", has_text=each) for each in ("jodd", "jplain"))
    expect(odd.locator("b")).to_have_text("Success")
    expect(odd.locator("mark")).to_contain_text(word)
    expect(plain.locator("mark")).to_have_count(0)
    colours = [row.locator("b").evaluate("each => getComputedStyle(each).color") for row in (odd, plain)]
    assert colours[0] != colours[1]


def test_older_jobs_are_a_click_away(page: Page, web: Web) -> None:
    """Each once, newest first."""
    for n in range(60):
        put(web.services.store, f"j{n:02}", CreationTime=f"2024-03-05T21:{n:02}:00+0800")
    opened(page, web)
    expect(page.locator("#jobs tbody tr")).to_have_count(50)
    page.get_by_role("button", name="Older jobs").click()
    expect(page.locator("#jobs tbody tr")).to_have_count(60)
    assert rows(page) == [f"j{n:02}" for n in reversed(range(60))]
    expect(page.get_by_role("button", name="Older jobs")).to_be_hidden()


def test_a_stranger_s_text_is_only_text(page: Page, web: Web) -> None:
    """Markup in any field is shown, never run; the page's policy would not let it run either."""
    evil = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
    put(
        web.services.store,
        "<script>alert(3)<script>",
        State=evil,
        Tag=evil,
        Message=evil,
        Input={"BucketId": evil, "Object": evil},
        Operation={"MediaResult": {"OutputFile": {"ObjectName": [evil], "Bucket": evil}}},
    )
    opened(page, web)
    expect(page.locator("#jobs tbody")).to_contain_text("onerror=alert(1)")
    assert page.locator("#jobs tbody img").count() == 0
    page.wait_for_timeout(300)
    policy = requests.get(web.url, timeout=10).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits(page: Page, web: Web, scheme: str, width: int) -> None:
    """On a phone too: the page itself never scrolls sideways, whatever a job is called."""
    put(web.services.store, "j" + "x" * 127, Input={"BucketId": "b", "Object": "in/" + "long" * 100})
    put(web.services.store, "j1")
    page.set_viewport_size({"width": width, "height": 700})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened(page, web)
    expect(page.locator("#jobs tbody tr")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_api_s_documentation_reads_offline(page: Page, web: Web) -> None:
    """All operations, from our own server alone, and one of them can be opened."""
    page.goto(f"{web.url}/docs/")
    expect(page.locator(".opblock").first).to_be_visible(timeout=20_000)
    document = requests.get(f"{web.url}/openapi.json", timeout=10).json()
    assert page.locator(".opblock").count() == sum(len(methods) for methods in document["paths"].values())
    page.locator(".opblock", has_text="One job;").first.click()
    expect(page.locator(".opblock-body").first).to_be_visible()
    assert page.locator(".errors-wrapper").count() == 0
