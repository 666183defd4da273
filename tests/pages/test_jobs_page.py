"""The list of jobs, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from app.api.chosen.filters import JOB_FILTERS
from app.store import Store
from harness.servers import Web
from tests.api.stored import confirm, miss, put
from tests.pages.signed_in import sign_in
from tests.store.said import said, tell

ENDED = "2024-03-05T13:59:59Z"


def rows(page: Page) -> list[str]:
    return page.locator("#rows th").all_inner_texts()


def test_the_address_holds_only_the_filters_that_were_chosen(visitor: FlaskClient) -> None:
    """Though a form sends every field that it has: the address is copied and sent to others."""
    answer = visitor.get("/?q=&state=Failed&tag=&overdue=&user_data=a%26b")
    assert (answer.status_code, answer.location) == (302, "/?state=Failed&user_data=a%26b")
    assert visitor.get("/failures?handler=&tag=").location == "/failures"
    assert visitor.get("/?state=Failed").status_code == 200


def test_it_says_when_there_is_nothing(page: Page, web: Web) -> None:
    sign_in(page, web)
    expect(page.locator("#rows")).to_contain_text("No jobs yet")
    page.goto(f"{web.url}/?state=Failed")
    expect(page.locator("#rows")).to_contain_text("No job matches")


def test_jobs_appear_and_change_by_themselves(page: Page, web: Web) -> None:
    """Without a reload; what the user has ticked, typed and selected stays."""
    put(web.services.store, "jticked")
    # The page learns only of what changes after it has connected.
    with page.expect_response(lambda answer: answer.url.endswith("/live")):
        sign_in(page, web)
    page.get_by_label("Select jticked").check()
    page.get_by_label("Search").fill("half a wo")
    put(web.services.store, "jlive", State="Running", EndTime=None)
    live = page.locator("#rows tr", has_text="jlive")
    expect(live).to_contain_text("Running")
    put(web.services.store, "jlive")
    expect(live).to_contain_text("Success")
    expect(page.get_by_label("Select jticked")).to_be_checked()
    expect(page.get_by_label("Search")).to_have_value("half a wo")
    expect(page.get_by_label("Search")).to_be_focused()


def _doubted(store: Store) -> None:
    for state in ("Success", "Failed"):
        tell(store, said("jodd", state, ENDED))


def _missing(store: Store) -> None:
    confirm(store, "jodd")
    miss(store, "jodd")


def _not_confirmed(store: Store) -> None:
    put(store, "jodd")


@pytest.mark.parametrize(
    ("prepare", "words"),
    [(_doubted, "in doubt"), (_missing, "outputs missing"), (_not_confirmed, "outputs unconfirmed")],
)
def test_a_success_with_a_problem_looks_different(
    page: Page, web: Web, prepare: Callable[[Store], None], words: str
) -> None:
    """A doubt, or outputs that are missing or unconfirmed, is named beside the state, which has another sign."""
    confirm(web.services.store, "jplain")
    prepare(web.services.store)
    sign_in(page, web)
    odd, plain = (page.locator("#rows tr", has_text=each) for each in ("jodd", "jplain"))
    expect(odd.locator(".badge")).to_have_count(2)
    expect(odd).to_contain_text(words)
    expect(plain.locator(".badge")).to_have_text("✓ Success")
    expect(odd.locator(".badge").first).to_have_text("! Success")


@pytest.mark.parametrize("wanted", ["j7", "order-7", "in/7.mp3", "in/7"])
def test_a_job_is_found_by_what_people_know(page: Page, web: Web, wanted: str) -> None:
    """The beginning of its id, its user data, its object."""
    for n in range(9):
        put(
            web.services.store,
            f"j{n}",
            Operation={"UserData": f"order-{n}"},
            Input={"BucketId": "b-1", "Object": f"in/{n}.mp3"},
        )
    sign_in(page, web)
    page.get_by_label("Search").fill(wanted)
    page.keyboard.press("Enter")
    expect(page.locator("#rows th")).to_have_text(["j7"])
    assert "q=" in page.url


def test_search_results_have_pages(page: Page, web: Web) -> None:
    """Older ones are found by the same words."""
    for n in range(60):
        put(web.services.store, f"j{n:02}", Operation={"UserData": "batch 9"})
    put(web.services.store, "other")
    sign_in(page, web)
    page.goto(f"{web.url}/?q=batch")
    expect(page.locator("#rows th")).to_have_count(50)
    first = rows(page)
    page.get_by_role("button", name="Older").click()
    expect(page.locator("#rows th")).to_have_count(10)
    assert sorted(first + rows(page)) == [f"j{n:02}" for n in range(60)]


def test_known_values_are_suggested_while_a_filter_is_typed(page: Page, web: Web) -> None:
    """Values that begin with the text, in their own case."""
    for n, text in enumerate(("order-1", "order-2", 'o"><b>', "else")):
        put(web.services.store, f"j{n}", Operation={"UserData": text})
    sign_in(page, web)
    page.get_by_text("More").click()
    page.get_by_label("User data").press_sequentially("o")
    options = page.locator("#known-user_data option")
    expect(options).to_have_count(3)
    values = [each.get_attribute("value") for each in options.all()]
    assert values == ['o"><b>', "order-1", "order-2"]
    assert page.goto(f"{web.url}/suggest/raw").status == 400  # type: ignore[union-attr]


def test_filters_stand_in_the_address(page: Page, web: Web) -> None:
    """With the API's names, so that a URL can be shared; an unknown one is refused by name."""
    for n in range(4):
        put(web.services.store, f"j{n}", State="Failed" if n % 2 else "Success")
    sign_in(page, web)
    page.goto(f"{web.url}/?state=Failed")
    assert sorted(rows(page)) == ["j1", "j3"]
    expect(page.get_by_label("State")).to_have_value("Failed")
    page.goto(f"{web.url}/?colour=red")
    expect(page.locator(".fault")).to_contain_text("colour")
    expect(page.locator("#rows")).to_contain_text("a filter is not known")


def test_older_jobs_are_a_click_away(page: Page, web: Web) -> None:
    """Each once, newest first."""
    for n in range(60):
        put(web.services.store, f"j{n:02}", CreationTime=f"2024-03-05T21:{n:02}:00+0800")
    sign_in(page, web)
    expect(page.locator("#rows th")).to_have_count(50)
    first = rows(page)
    page.get_by_role("button", name="Older").click()
    expect(page.locator("#rows th")).to_have_count(10)
    assert first + rows(page) == [f"j{n:02}" for n in reversed(range(60))]


def test_counts_and_charts_can_be_read_without_seeing(page: Page, web: Web) -> None:
    """Each chart has its figures as a table."""
    put(web.services.store, "j1")
    sign_in(page, web)
    expect(page.locator(".counts")).to_contain_text("1 Success")
    assert page.locator("figure svg[role=img][aria-label]").count() == 2
    assert page.locator("figure table caption").count() == 2


def test_an_action_names_its_count_first(page: Page, web: Web) -> None:
    """On the selected jobs, and on all that match; nothing happens before it is confirmed."""
    store = web.services.store
    for n in range(5):
        put(store, f"j{n}", State="Failed" if n < 3 else "Success")
    sign_in(page, web)
    page.goto(f"{web.url}/?state=Failed")
    page.get_by_label("Do").select_option("replay")
    page.get_by_role("button", name="all that match").click()
    expect(page.get_by_role("heading")).to_have_text("Replay 3 jobs?")
    assert [len(store.jobs.history(f"j{n}")[0]) for n in range(5)] == [1] * 5
    page.get_by_role("button", name="Replay 3").click()
    expect(page.locator(".message")).to_contain_text("3 of 3 done")
    assert [len(store.jobs.history(f"j{n}")[0]) for n in range(5)] == [2, 2, 2, 1, 1]
    page.goto(web.url)
    page.get_by_label("Select j4").check()
    expect(page.locator("#selected")).to_have_text("1 selected")
    page.get_by_label("Do").select_option("replay")
    page.get_by_role("button", name="the selected jobs").click()
    page.get_by_role("button", name="Replay 1").click()
    expect(page.locator(".message")).to_contain_text("1 of 1 done")
    assert len(store.jobs.history("j4")[0]) == 2


NONE_MATCH = {
    "state": "Running",
    "tag": "Transcode",
    "queue_id": "pother",
    "bucket": "other-1250000000",
    "input_object": "in/other.mp3",
    "user_data": "order-43",
    "overdue": "true",
    "created_after": "2099-01-01",
    "created_before": "2000-01-01",
    "label.batch": "a",
}


def test_an_action_on_all_that_match_is_on_those_that_are_shown(page: Page, web: Web) -> None:
    """For each filter: an action that lost it would change every job."""
    assert {*NONE_MATCH} == {*JOB_FILTERS, "label.batch"}
    for n in range(3):
        put(web.services.store, f"j{n}")
    sign_in(page, web)
    asked = {}
    for name, value in NONE_MATCH.items():
        page.goto(f"{web.url}/?{name}={value}")
        page.get_by_role("button", name="all that match").click()
        asked[name] = page.get_by_role("heading").text_content()
        expect(page.locator("main p", has_text=name)).to_contain_text(value)
    assert asked == dict.fromkeys(NONE_MATCH, "Ask CI about 0 jobs?")


def test_an_action_on_a_search_is_on_those_that_it_finds(page: Page, web: Web) -> None:
    """Together with the filters beside it."""
    store = web.services.store
    for n in range(6):
        state = "Failed" if n % 2 else "Success"
        put(store, f"j{n}", State=state, Operation={"UserData": f"batch-{n}" if n < 4 else "else"})
    sign_in(page, web)
    page.goto(f"{web.url}/?q=batch&state=Success")
    page.get_by_label("Do").select_option("replay")
    page.get_by_role("button", name="all that match").click()
    expect(page.get_by_role("heading")).to_have_text("Replay 2 jobs?")
    expect(page.locator("main p", has_text="q is batch")).to_be_visible()
    page.get_by_role("button", name="Replay 2").click()
    expect(page.locator(".message")).to_contain_text("2 of 2 done")
    assert [len(store.jobs.history(f"j{n}")[0]) for n in range(6)] == [2, 1, 2, 1, 1, 1]
    expect(page.get_by_label("Search")).to_have_value("batch")


def test_a_filter_that_the_list_does_not_know_is_refused(page: Page, web: Web) -> None:
    """A form that names one acts on nothing."""
    put(web.services.store, "j0")
    sign_in(page, web)
    page.evaluate(
        """() => {
        const field = Object.assign(document.createElement("input"), {type: "hidden", name: "colour", value: "x"});
        document.getElementById("list").append(field);
        }"""
    )
    page.get_by_role("button", name="all that match").click()
    expect(page.locator("main")).to_contain_text("violates validation rules")
