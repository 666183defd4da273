"""One job's page: outputs, history and actions, with the whole service as real processes."""

from __future__ import annotations

import pytest
import requests
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect

from app.store import Store
from harness.servers import PATIENCE_S, Service, Web, eventually
from tests.api.stored import put
from tests.pages.signed_in import CSRF, sign_in
from tests.store.said import said, tell


def _submit(service: Service) -> str:
    request = {
        "tag": "VoiceSeparate",
        "input": {"object": "in/talk.mp3"},
        "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
        "output": {"object": "out/bg.${ext}", "au_object": "out/vocals.${ext}"},
        "user_data": "order-7",
        "labels": {"show": "news"},
    }
    headers = {"Authorization": f"Bearer {service.key}"}
    answer = requests.post(f"{service.url}/v1/jobs", json=request, headers=headers, timeout=90)
    job_id: str = answer.json()["job_id"]
    return job_id


def test_a_job_from_its_submission_to_its_last_handler(service: Service, chromium: Browser) -> None:
    """The page has its timeline, players, labels and both records; a replay is confirmed by a message."""
    job_id = _submit(service)

    eventually(lambda: _is_done(service, job_id), "its handlers")
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.goto(f"{service.url}/jobs/{job_id}")
    page.get_by_label("API key").fill(service.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1")).to_contain_text(job_id)
    for words in ("submitted", "running at CI", "callback: accepted", "try 1"):
        expect(page.locator(".timeline")).to_contain_text(words)
    expect(page.locator("audio")).to_have_count(2)
    expect(page.get_by_role("link", name="Download")).to_have_count(2)
    link = page.get_by_role("link", name="Download").first.get_attribute("href")
    assert link is not None
    assert requests.get(link, timeout=60).status_code == 200
    expect(page.locator(".facts", has_text="User data")).to_contain_text("order-7")
    expect(page.get_by_role("link", name="news")).to_be_visible()
    expect(page.locator("#normalized")).to_contain_text('"user_data": "order-7"')
    expect(page.locator("#raw")).to_contain_text("JobId")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator(".message")).to_contain_text("is replayed")
    expect(page.locator(".history")).to_contain_text("replay")
    page.close()


@pytest.mark.parametrize(("choice", "state"), [("known", "Success"), ("reported", "Failed")])
def test_an_operator_settles_a_doubt(page: Page, web: Web, choice: str, state: str) -> None:
    """The page shows the known and the reported state; the history has the decision."""
    for each in ("Success", "Failed"):
        tell(web.services.store, said("jodd", each, "2024-03-05T13:59:59Z"))
    sign_in(page, web, path="/jobs/jodd")
    expect(page.locator(".doubt")).to_contain_text("Known: Success")
    expect(page.locator(".doubt")).to_contain_text("Reported: Failed")
    page.get_by_role("button", name=f"Settle as {choice}").click()
    expect(page.locator(".message")).to_contain_text("The doubt is settled")
    expect(page.locator(".doubt")).to_have_count(0)
    expect(page.locator("header .badge").first).to_contain_text(state)
    expect(page.locator(".history")).to_contain_text("settle")
    job = web.services.store.jobs.get("jodd")
    assert job and (job.state, job.doubt) == (state, None)


def test_a_doubt_that_is_gone_cannot_be_settled(visitor: FlaskClient, store: Store) -> None:
    """The job has no doubt when the form is sent."""
    put(store, "jsure")
    proof = CSRF.findall(visitor.get("/jobs/jsure").text)[0]
    said_of = {"known": "This job has no doubt", "guessed": "A doubt is settled as known or as reported"}
    for choice, words in said_of.items():
        answer = visitor.post("/jobs/jsure/settle", data={"csrf": proof, "as": choice}, follow_redirects=True)
        assert f"Nothing was changed. {words}" in answer.text


def _is_done(service: Service, job_id: str) -> bool:
    runs = service.services.store.runs.of_job(job_id)
    return bool(runs) and all(run.state == "done" for run in runs)
