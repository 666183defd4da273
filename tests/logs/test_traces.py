"""The spans of a callback across the processes, as a collector gets them; and processes without traces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.core.logs import LOG_FIELDS
from harness.downstream import KEY, Downstream
from harness.servers import ROOT, Emulator, Process, Service, Valkey, eventually, free_port
from harness.settings import make_settings
from tests.logs.test_the_way import whole_lines
from tests.receiver.callbacks import a_token, body, post
from tests.workers.conftest import Start, start  # noqa: F401 - a fixture

LIBRARIES = Path(sys.prefix) / "traces"
"""Where `make traces-libraries` installs them."""
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"

Said = dict[str, Any]


class Collector:
    """The spans that the collector's process has received."""

    def __init__(self, process: Process) -> None:
        self._process = process
        eventually(lambda: whole_lines(self._process.text()), "the collector to listen")

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the processes that send spans: every 100 ms, not every five seconds."""
        port = self._process.text().splitlines()[0]
        return {
            "PYTHONPATH": str(LIBRARIES),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20plantedcollector",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def spans(self) -> list[Said]:
        return [json.loads(line) for line in whole_lines(self._process.text())[1:]]

    def of(self, trace: str) -> dict[str, Said]:
        return {each["name"]: each for each in self.spans() if each["trace"] == trace}


@contextmanager
def collecting(folder: Path) -> Iterator[Collector]:
    assert LIBRARIES.is_dir(), "run `make traces-libraries` first, as `make test` does"
    process = Process(
        [sys.executable, "-m", "tests.logs.collector"],
        folder / "collector.log",
        os.environ | {"PYTHONPATH": str(LIBRARIES)},
    )
    process.start()
    yield Collector(process)
    process.clear()


class Traced(NamedTuple):
    """A service with one endpoint, and the collector that all its processes send to."""

    service: Service
    downstream: Downstream
    collector: Collector


@pytest.fixture(scope="module")
def traced(valkey: Valkey, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """One for all tests that only read spans: each has a trace and jobs of its own."""
    folder, port = tmp_path_factory.mktemp("traced"), free_port()
    with Downstream() as downstream, collecting(folder) as collector:
        settings = make_settings(
            valkey.url,
            public_url=f"http://127.0.0.1:{port}",
            ci_endpoint=emulator.url,
            check_outputs=False,
            handlers="tests.workers.some_handlers",
            forward_urls=downstream.url,
            forward_keys=KEY,
            forward_allow_private="127.0.0.0/8",
        )
        variables = {"WEB_CONCURRENCY": "1", "NOTES": "/dev/null", **collector.environment}
        with Service(settings, port, folder, **variables) as service:
            yield Traced(service, downstream, collector)


def facts(span: Said) -> dict[str, Any]:
    """The attributes of a span: a list as a list, anything else as its value."""
    found = {}
    for each in span["attributes"]:
        ((kind, value),) = each["value"].items()
        found[each["key"]] = (
            [one["stringValue"] for one in value["values"]] if kind == "arrayValue" else value
        )
    return found


def test_a_trace_shows_one_callback_from_its_request_to_its_deliveries(traced: Traced) -> None:
    """All spans are in the caller's trace, each step below the callback; the endpoint gets the delivery's span."""
    service, downstream, collector = traced
    token = a_token(service.settings)
    sent = {"X-Request-Id": "r-4711", "traceparent": f"00-{TRACE}-{CALLER}-01"}
    post(service.url, token, body(JobId="jtraced", Tag="Quick"), **sent)
    steps = {"callback": "web", "store": "web", "outbox": "relay", "run": "worker", "delivery": "relay"}
    eventually(
        lambda: collector.of(TRACE).keys() >= steps.keys(), lambda: f"all steps: {collector.of(TRACE)}"
    )
    found = collector.of(TRACE)
    assert {name: span["process"] for name, span in found.items()} == steps
    assert {span["service"] for span in found.values()} == {"ci-callback-receiver"}
    callback = found["callback"]
    assert callback["parent"] == CALLER
    assert {span["parent"] for name, span in found.items() if name != "callback"} == {callback["span"]}
    (event_id,) = facts(callback)["ci.event_ids"]
    assert facts(callback)["ci.outcomes"] == ["accepted"]
    for name in ("outbox", "run", "delivery"):
        assert facts(found[name])["ci.event_id"] == event_id
        assert facts(found[name])["ci.request_id"] == "r-4711"
    assert facts(found["run"])["ci.handler"] == "quick"
    assert facts(found["run"])["ci.result"] == facts(found["delivery"])["ci.result"] == "done"
    (delivery,) = (each for each in downstream.deliveries if each.event["subject"] == "jtraced")
    assert delivery.headers["traceparent"] == f"00-{TRACE}-{found['delivery']['span']}-01"


def test_the_submission_of_a_job_is_part_of_the_request_that_asked_for_it(traced: Traced) -> None:
    """The call to CI and the event of its answer have the request as parent."""
    service, _, collector = traced
    trace = "1af7651916cd43dd8448eb211c80319c"
    wanted = {
        "tag": "VoiceSeparate",
        "input": {"object": "input/demo.mp4"},
        "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
        "output": {"au_object": "out/vocals.${ext}"},
    }
    header = {"traceparent": f"00-{trace}-{CALLER}-01"}
    answer = service.call("POST", "/v1/jobs", json=wanted, headers=header)
    assert answer.status_code == 201, answer.text
    steps = {"POST /v1/jobs", "POST /jobs", "outbox"}
    eventually(lambda: collector.of(trace).keys() >= steps, lambda: f"all steps: {collector.of(trace)}")
    found = collector.of(trace)
    request, asked = found["POST /v1/jobs"], found["POST /jobs"]
    assert found["outbox"]["parent"] == request["span"]
    assert (request["parent"], asked["parent"]) == (CALLER, request["span"])
    assert facts(asked)["ci.job_ids"] == [answer.json()["job_id"]]


def test_a_trace_holds_nothing_that_logs_must_not_hold(traced: Traced) -> None:
    """The attributes of spans are fields of logs, without secrets and without the text of an exception."""
    service, _, collector = traced
    token = a_token(service.settings)
    post(service.url, token, body(JobId="jsecret", Tag="Raise"), Authorization="Bearer plantedbearer")
    post(service.url, token, b"<broken", Cookie="session=plantedcookie")
    service.call("GET", "/v1/jobs/jabsent/history?q=plantedquery")

    def failed() -> list[Said]:
        return [each for each in collector.spans() if "STATUS_CODE_ERROR" in each["status"].values()]

    eventually(lambda: any("failed" in each["status"].values() for each in failed()), "the failure")
    names = {each["key"] for span in collector.spans() for each in span.get("attributes", ())}
    assert names <= {f"ci.{name}" for name in LOG_FIELDS}
    logs = [process.text() for process in service.processes]
    said = json.dumps(collector.spans()) + "".join(logs)
    planted = [token, KEY, service.key, "plantedbearer", "plantedcookie", "plantedquery", "plantedcollector"]
    assert [each for each in [*planted, "as requested"] if each in json.dumps(collector.spans())] == []
    assert [each for each in planted if each in said] == []


def test_callbacks_are_handled_while_the_collector_is_away(start: Start) -> None:  # noqa: F811
    """Each callback is accepted, and its handler runs."""
    nowhere = {
        "PYTHONPATH": str(LIBRARIES),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    service = start({"NOTES": "/dev/null", **nowhere}, handlers="tests.workers.some_handlers")
    for number in range(3):
        answer = post(service.url, a_token(service.settings), body(JobId=f"jaway{number}", Tag="Quick"))
        assert answer.json()["results"][0]["outcome"] == "accepted"
    eventually(lambda: service.worker.text().count('"result":"done"') == 3, "the runs")


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_traces_no_tracing_library_is_imported(switches: dict[str, str]) -> None:
    """The libraries are on the path; every span is the constant ``NO_SPAN``."""
    asked = (
        "import sys; sys.path.append(sys.argv[1]); from app.core import traces;"
        "traces.prepare(); traces.open_traces('web');"
        "assert traces.span('callback', 'server', '') is traces.current_step() is traces.NO_SPAN;"
        "traces.close_traces();"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked, str(LIBRARIES)],
        cwd=ROOT,
        env=os.environ | switches,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_missing_tracing_library_is_logged_with_what_to_do() -> None:
    """The process goes on without traces; this environment has none of the libraries."""
    asked = "from app.core import logs, traces; logs.configure('web', 'json'); traces.open_traces('web')"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=ROOT,
        env=os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stderr.splitlines()
    assert "Install requirements-traces.txt" in json.loads(line)["message"]
