"""Actions on many things: the count first, then step by step until all are done, whatever their number."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from app.api.chosen import many_jobs
from app.pages.views import failures as failures_view
from app.pages.views import refusals as refusals_view
from app.services import Services
from app.store import Store
from app.store.failures.failures import FailureFilter
from app.store.refusals.refusal import Refusal
from harness.servers import Web
from tests.api.stored import put
from tests.pages.signed_in import CSRF, sign_in
from tests.pages.violations import violations
from tests.receiver.callbacks import body
from tests.workers.news import a_failure

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def refuse(store: Store, count: int, reason: str = "malformed_json") -> None:
    """Store refusals whose bodies would be accepted now."""
    for n in range(count):
        job_id = f"j{reason[:1]}{n:03}"
        kept = Refusal(
            reason, "x", "t", {}, (job_id,), body=body(JobId=job_id), whole=True, id=f"{reason[:1]}{n:011}"
        )
        assert store.refusals.note(kept)


def steps(visitor: FlaskClient, path: str, **form: str) -> tuple[list[str], str]:
    """Send all steps as the script does: the heading of each, and the message of the list afterwards."""
    fields = {"csrf": CSRF.findall(visitor.get("/").text)[0], "which": "all", **form}
    fields |= dict(HIDDEN.findall(visitor.post(path, data=fields).text)) | {"sure": "yes", **form}
    headings: list[str] = []
    while (answer := visitor.post(path, data=fields, headers={"HX-Request": "true"})).text:
        headings.append(re.findall(r"<h1>(.*?)</h1>", answer.text)[0])
        fields = {name: unescape(value) for name, value in HIDDEN.findall(answer.text)}
    said = visitor.get(answer.headers["HX-Redirect"]).text
    return headings, re.findall(r'class="message" role="status">(.*?)</p>', said)[0]


def test_every_failure_is_retried_in_steps(
    visitor: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are more than one request retries; failures that the filter does not select stay."""
    monkeypatch.setattr(failures_view, "FAILURES_A_STEP", 2)
    for _ in range(5):
        a_failure(services)
    a_failure(services, handler="other.one")
    headings, said = steps(visitor, "/failures/act", action="retry", handler="mine.publish")
    assert headings[:2] == ["Retry: 2 of 5", "Retry: 4 of 5"]
    assert said == "Retry: 5 of 5 done."
    (left,), _ = services.store.failures.page(FailureFilter(), 10)
    assert left.handler == "other.one"


def test_every_failure_is_dismissed_in_steps(
    visitor: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason that the first form gave."""
    monkeypatch.setattr(failures_view, "FAILURES_A_STEP", 2)
    events = [a_failure(services) for _ in range(5)]
    _, said = steps(visitor, "/failures/act", action="dismiss", reason="an old bug")
    assert said == "Dismiss: 5 of 5 done."
    runs = [run for each in events for run in services.store.runs.of_event(each)]
    assert {(run.state, run.acts[-1]["reason"]) for run in runs} == {("dismissed", "an old bug")}


def test_every_job_is_replayed_in_steps(
    visitor: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once: a step begins where the last one ended."""
    monkeypatch.setattr(many_jobs, "_REPLAYED", 2)
    for n in range(5):
        put(store, f"j{n}")
    headings, said = steps(visitor, "/jobs/act", action="replay")
    assert headings[:2] == ["Replay: 2 of 5", "Replay: 4 of 5"]
    assert said == "Replay: 5 of 5 done."
    assert [len(store.jobs.history(f"j{n}")[0]) for n in range(5)] == [2] * 5


def test_every_job_that_a_search_finds_is_replayed_in_steps(
    visitor: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, although the search finds it by two values."""
    monkeypatch.setattr(many_jobs, "_REPLAYED", 2)
    for n in range(5):
        put(store, f"a{n}", Input={"BucketId": "b-1", "Object": f"ab/{n}"}, Operation={"UserData": f"ac{n}"})
    put(store, "j0")
    _, said = steps(visitor, "/jobs/act", action="replay", q="a")
    assert said == "Replay: 5 of 5 done."
    assert [len(store.jobs.history(f"a{n}")[0]) for n in range(5)] == [2] * 5
    assert len(store.jobs.history("j0")[0]) == 1


def test_a_count_that_is_cut_off_says_so(
    visitor: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request counts a bounded number of the jobs that a search finds."""
    monkeypatch.setattr(many_jobs, "_PAGE", 2)
    monkeypatch.setattr(many_jobs, "_PAGES", 2)
    for n in range(6):
        put(store, f"j{n}")
    fields = {"csrf": CSRF.findall(visitor.get("/").text)[0], "which": "all", "action": "replay", "q": "j"}
    assert "Replay 4 or more jobs?" in visitor.post("/jobs/act", data=fields).text


def test_refusals_are_retried_one_selected_or_all(page: Page, web: Web) -> None:
    """The count comes first; accepted refusals leave the list, and the script sends step after step."""
    store = web.services.store
    refuse(store, refusals_view.REFUSALS_A_STEP + 3)
    refuse(store, 2, "too_large")
    sign_in(page, web, path="/refusals")
    page.get_by_label("Select t00000000000").check()
    expect(page.locator("#selected")).to_have_text("1 selected")
    page.get_by_role("button", name="the selected refusals").click()
    expect(page.get_by_role("heading")).to_have_text("Retry 1 refusal?")
    assert store.refusals.open()[0] == refusals_view.REFUSALS_A_STEP + 5
    page.get_by_role("button", name="Retry 1").click()
    expect(page.locator(".message")).to_contain_text("1 of 1 done")
    assert store.jobs.get("jt000")
    page.goto(f"{web.url}/refusals?reason=malformed_json")
    page.get_by_role("button", name="all that match").click()
    expect(page.get_by_role("heading")).to_have_text(f"Retry {refusals_view.REFUSALS_A_STEP + 3} refusals?")
    page.get_by_role("button", name=re.compile("^Retry")).click()
    expect(page.locator(".message")).to_contain_text("203 of 203 done")
    expect(page).to_have_url(f"{web.url}/refusals?reason=malformed_json")
    assert store.refusals.open()[0] == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1280])
def test_axe_finds_nothing_between_two_steps(page: Page, web: Web, scheme: str, width: int) -> None:
    """Without the script a page stays between two steps, with a button that continues."""
    refuse(web.services.store, refusals_view.REFUSALS_A_STEP + 1)
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.route("**/*.js", lambda route: route.abort())
    sign_in(page, web, path="/refusals")
    page.get_by_label("Do").select_option("dismiss")
    page.get_by_role("button", name="all that match").click()
    page.get_by_label("Reason").fill("forged")
    page.get_by_role("button", name="Dismiss 201").click()
    expect(page.get_by_role("heading")).to_have_text("Dismiss: 200 of 201")
    assert violations(page) == []
    page.get_by_role("button", name="Go on with the other 1").click()
    expect(page.locator(".message")).to_contain_text("201 of 201 done")


def test_a_repeated_refusal_has_a_reason(visitor: FlaskClient, store: Store) -> None:
    """It stays on the list; so does a refusal whose body was read only in part."""
    for n, (whole, content) in enumerate(((True, b"{"), (False, b"{"))):
        store.refusals.note(
            Refusal("malformed_json", "x", "t", {}, ("j1",), body=content, whole=whole, id=f"r{n:011}")
        )
    _, said = steps(visitor, "/refusals/act", action="retry")
    assert said.startswith("Retry: 0 of 2 done.")
    assert "r00000000000 was refused again" in said
    assert "r00000000001: Only part of" in said
    assert store.refusals.open()[0] == 2
    (entry,), _ = store.audit.page(1)
    assert entry.did == {"count": 2, "taken": 0, "failed": 2, "reason": "malformed_json"}


def test_refusals_are_dismissed_for_a_reason(visitor: FlaskClient, store: Store) -> None:
    """Without one nothing is dismissed. Refusals that the filter does not select stay."""
    refuse(store, 3)
    refuse(store, 1, "too_large")
    fields = {
        "csrf": CSRF.findall(visitor.get("/").text)[0],
        "which": "all",
        "action": "dismiss",
        "sure": "yes",
    }
    answer = visitor.post("/refusals/act", data=fields, follow_redirects=True)
    assert "Nothing was dismissed: a reason is needed." in answer.text
    _, said = steps(visitor, "/refusals/act", action="dismiss", reason="malformed_json", why="forged")
    assert said == "Dismiss: 3 of 3 done."
    assert [each.reason for each in store.refusals.newest(9)] == ["too_large"]
