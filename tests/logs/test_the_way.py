"""One search in the logs shows a callback in all processes; no log holds a secret."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from app.ci.report import Detail, Report
from app.core.logs import about
from app.core.tokens import fingerprint
from app.store import News
from harness.downstream import KEY, Delivery, Downstream
from harness.emulated import Emulated
from harness.servers import Emulator, Service, Valkey, Web, eventually, free_port
from harness.settings import make_settings
from tests.receiver.callbacks import a_token, body, post
from tests.workers.conftest import Start, ci, downstream, start  # noqa: F401 - fixtures
from tests.workers.relay.asking import REQUEST as SUBMISSION
from tests.workers.relay.asking import end_at_ci

REQUEST = "r-4711.of_the-proxy"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def whole_lines(text: str) -> list[str]:
    return text[: text.rfind("\n") + 1].splitlines()


def lines_about(service: Service, found: str) -> dict[str, list[dict[str, Any]]]:
    """The log lines of each process that contain this text; the last may not be whole yet."""
    return {
        role: [json.loads(line) for line in whole_lines(process.text()) if found in line]
        for role, process in (("web", service.web), ("worker", service.worker), ("relay", service.relay))
    }


def test_a_request_id_is_in_the_logs_of_all_processes(start: Start, downstream: Downstream) -> None:  # noqa: F811
    """The lines of request, run and delivery have the trace id too; the endpoint gets both ids."""
    service = start(
        {"NOTES": "/dev/null"}, handlers="tests.workers.some_handlers", forward_urls=downstream.url
    )
    token = a_token(service.settings)
    answer = post(
        service.url, token, body(JobId="jway", Tag="Quick"), **{"X-Request-Id": REQUEST, "traceparent": TRACE}
    )
    assert answer.headers["X-Request-Id"] == REQUEST

    def seen() -> bool:
        found = lines_about(service, REQUEST)
        return bool(found["web"] and found["worker"] and found["relay"])

    eventually(seen, "all three to say it")
    found = lines_about(service, REQUEST)
    (came,) = found["web"]
    assert came["message"].startswith("POST /callbacks/<anything:token> 200 ")
    assert (came["status"], came["token"]) == (200, fingerprint(token))
    assert (came["job_ids"], came["outcomes"]) == (["jway"], ["accepted"])
    assert came["ms"] > 0
    (event_id,) = came["event_ids"]
    (ran,) = found["worker"]
    assert (ran["handler"], ran["try"], ran["result"]) == ("quick", 1, "done")
    (sent,) = found["relay"]
    assert (sent["handler"], sent["endpoint"], sent["result"]) == ("forward", downstream.url, "done")
    for line in (ran, sent):
        assert (line["event_id"], line["job_id"]) == (event_id, "jway")
    for line in (came, ran, sent):
        assert line["trace_id"] == TRACE.split("-")[1]
    (delivery,) = downstream.deliveries
    assert delivery.headers["x-request-id"] == REQUEST
    assert delivery.headers["traceparent"] == TRACE


def test_a_replay_has_the_id_of_the_request_that_asked_for_it(
    start: Start,  # noqa: F811
    downstream: Downstream,  # noqa: F811
) -> None:
    """A replay by the API has that id, one without a request has a new id; the endpoint gets both."""
    service = start(
        {"NOTES": "/dev/null"}, handlers="tests.workers.some_handlers", forward_urls=downstream.url
    )
    post(service.url, a_token(service.settings), body(JobId="jagain", Tag="Quick"))
    eventually(lambda: len(downstream.deliveries) == 1, "the first delivery")
    sent = {"X-Request-Id": "again-4711", "traceparent": TRACE}
    asked = service.call("POST", "/v1/jobs/jagain/replay", headers=sent)
    assert asked.headers["X-Request-Id"] == "again-4711"

    def ran() -> bool:
        found = lines_about(service, "again-4711")
        return bool(found["worker"] and found["relay"] and len(downstream.deliveries) == 2)

    eventually(ran, "the run and the delivery")
    found = lines_about(service, "again-4711")
    for line in (*found["worker"], *found["relay"]):
        assert line["event_id"] == asked.json()["event_id"]
        assert line["trace_id"] == TRACE.split("-")[1]
    assert downstream.deliveries[1].headers["x-request-id"] == "again-4711"
    assert downstream.deliveries[1].headers["traceparent"] == TRACE

    service.services.store.replays.replay("jagain", "a person")
    eventually(lambda: len(downstream.deliveries) == 3, "the third delivery")
    ids = [each.headers["x-request-id"] for each in downstream.deliveries]
    assert len(set(ids)) == 3
    assert "traceparent" not in downstream.deliveries[2].headers


def test_an_answer_of_ci_that_no_request_asked_for_has_an_id_of_its_own(
    start: Start,  # noqa: F811
    downstream: Downstream,  # noqa: F811
) -> None:
    """The id is in the logs of its runs and reaches the endpoint; an answer for a request has that one's id."""
    service = start(
        {"NOTES": "/dev/null"}, handlers="tests.workers.some_handlers", forward_urls=downstream.url
    )
    for job_id in ("jpolled", "jrefreshed"):
        news = News([Detail(Report(job_id=job_id, tag="Quick", state="Success"), {})], "poll", "confirmed")
        with about(request_id="refresh-4711" if job_id == "jrefreshed" else None):
            service.services.store.acceptor.accept(news)
    eventually(lambda: len(downstream.deliveries) == 2, "both deliveries")
    ids = {
        each.event["data"]["job"]["job_id"]: each.headers["x-request-id"] for each in downstream.deliveries
    }
    assert ids["jrefreshed"] == "refresh-4711"
    assert len(ids["jpolled"]) == 16
    for job_id, request in ids.items():
        eventually(lambda request=request: lines_about(service, request)["worker"], "the run")  # type: ignore[misc]
        assert {line["job_id"] for line in lines_about(service, request)["worker"]} == {job_id}


def test_what_a_refresh_finds_has_the_id_of_the_request_that_asked(
    start: Start,  # noqa: F811
    downstream: Downstream,  # noqa: F811
    ci: Emulator,  # noqa: F811
) -> None:
    """CI's callback is lost and a refresh finds the end: its request id and trace reach the endpoint."""
    service = start(forward_urls=downstream.url)
    job_id = service.call("POST", "/v1/jobs", json=SUBMISSION).json()["job_id"]
    Emulated(ci.url, service.settings.cos_bucket).fault("lose", times=1)
    end_at_ci(ci, job_id)
    sent = {"X-Request-Id": "refresh-4711", "traceparent": TRACE}
    assert service.call("POST", f"/v1/jobs/{job_id}/refresh", headers=sent).json()["state"] == "Success"

    def ended() -> list[Delivery]:
        return [each for each in downstream.deliveries if each.event["data"]["job"]["state"] == "Success"]

    (delivery,) = eventually(ended, "the delivery of the end")
    assert delivery.event["data"]["job"]["job_id"] == job_id
    assert (delivery.headers["x-request-id"], delivery.headers["traceparent"]) == ("refresh-4711", TRACE)


def test_without_the_headers_the_request_gets_an_id(start: Start) -> None:  # noqa: F811
    """The new id has 16 hexadecimal digits; invalid headers are replaced by one too."""
    service = start({"NOTES": "/dev/null"}, handlers="tests.workers.some_handlers")
    token = a_token(service.settings)
    ids: set[str] = set()
    for given in ({}, {"X-Request-Id": 'a b"c'}, {"X-Request-Id": "x" * 65, "traceparent": "00-nonsense"}):
        answer = post(service.url, token, body(JobId=f"j{len(ids)}", Tag="Quick"), **given)
        ids.add(answer.headers["X-Request-Id"])
    assert len(ids) == 3
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in ids)
    for each in ids:
        eventually(lambda each=each: lines_about(service, each)["worker"], "the run")  # type: ignore[misc]


def test_no_secret_is_in_any_log(start: Start, downstream: Downstream) -> None:  # noqa: F811
    """Planted in settings, addresses, headers and queries; at DEBUG."""
    secrets = {
        "cos_secret_key": "plantedsecretofcos",
        "cos_token": "plantedtokenofcos",
        "callback_keys": "k1:planted-secret-of-callbacks-0123456789",
    }
    service = start(
        {"NOTES": "/dev/null", "LOG_LEVEL": "DEBUG"},
        handlers="tests.workers.some_handlers",
        forward_urls=downstream.url,
        log_level="DEBUG",
        **secrets,
    )
    token = a_token(service.settings)
    for content in (body(JobId="jsecret", Tag="Quick"), body(JobId="jraise", Tag="Raise"), b"<broken"):
        post(
            service.url, token, content, Authorization="Bearer plantedbearer", Cookie="session=plantedcookie"
        )
    service.call("GET", "/v1/jobs?q=plantedquery")
    service.call("GET", "/v1/jobs/jsecret")
    eventually(lambda: len(lines_about(service, '"result":"failed"')["worker"]), "the failure")
    eventually(lambda: lines_about(service, '"result":"done"')["relay"], "the delivery")
    said = "".join(process.text() for process in service.processes)
    planted = [value.rpartition(":")[2] for value in secrets.values()]
    planted += [token, KEY, service.key, "plantedbearer", "plantedcookie", "plantedquery"]
    assert [each for each in planted if each in said] == []


def test_health_checks_are_not_logged(start: Start) -> None:  # noqa: F811
    """/healthz, /readyz and /metrics are requested every few seconds."""
    service = start({"NOTES": "/dev/null"}, handlers="tests.workers.some_handlers")
    for path in ("/healthz", "/readyz", "/metrics"):
        assert service.call("GET", path).ok
    service.call("GET", "/v1/jobs")
    eventually(lambda: '"route":"/v1/jobs"' in service.web.text(), "the line of the API")
    assert not any(path in service.web.text() for path in ("/healthz", "/readyz", '"/metrics"'))


def test_each_line_of_the_web_service_and_its_master_is_json(valkey: Valkey, tmp_path: Path) -> None:
    """From the start through a reload to the end."""
    settings = make_settings(valkey.url, log_format="json")
    with Web(settings, free_port(), tmp_path, WEB_CONCURRENCY="1") as web:
        web.web.signal(signal.SIGHUP)
        eventually(lambda: "Hang up" in web.web.text(), "the reload")
        eventually(lambda: web.web.text().count("serves") == 2, "the new worker")
        assert web.web.stop() == 0
        lines = [json.loads(line) for line in web.web.text().splitlines()]
    assert {line["process"] for line in lines} == {"web"}
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    said = " ".join(line["message"] for line in lines)
    assert "Starting gunicorn" in said and "Shutting down: Master" in said
