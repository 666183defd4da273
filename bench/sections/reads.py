"""Look-ups and lists, compared with a bare view that returns the same bytes."""

from __future__ import annotations

import http.client
import tempfile
from pathlib import Path

from app.core.tokens import Binding
from app.services import Services
from app.settings import Settings
from app.submitter.callback_url import callback_url
from bench import payloads
from bench.load import Request, run, shared
from bench.options import Options
from bench.serve import serve
from bench.settings import measured_settings
from bench.table import Row, ratios, row
from harness.servers import Valkey

_SECTION = "reading (processor time of web and store)"
_JOBS = 500
_PAGE = "/v1/jobs?state=Success&tag=VoiceSeparate&limit=50"


def measure(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory() as name, Valkey(Path(name)) as store:
        settings = measured_settings(store.url, key_prefix="ci:")
        # With presigned links the ETag depends on the clock, and could change during the measurement.
        key = Services.open(settings, timeout=5).store.api_keys.create("bench", frozenset({"read"}))
        answers = Path(name) / "answers"
        answers.mkdir()
        job = f"/v1/jobs/{_job_id(7)}"
        headers = {"Authorization": f"Bearer {key}"}
        with serve(settings, Path(name), ("ours",)) as ours:
            fill(settings, ours["ours"].port, _JOBS)
            (answers / "job").write_bytes(_get(ours["ours"].port, job, headers)[0])
            (answers / "page").write_bytes(_get(ours["ours"].port, _PAGE, headers)[0])
            etag = _get(ours["ours"].port, job, headers)[1]
        unchanged = headers | {"If-None-Match": etag}
        kinds = {
            "a job": (Request(job, None, "GET", headers), Request("/same/job", None, "GET", headers), 1.8),
            "not modified (304)": (
                Request(job, None, "GET", unchanged, 304),
                Request("/unchanged", None, "GET", unchanged, 304),
                1.4,
            ),
            "a page of 50, two filters": (
                Request(_PAGE, None, "GET", headers),
                Request("/same/page", None, "GET", headers),
                1.5,
            ),
        }
        with serve(settings, Path(name), ("bare", "ours"), BENCH_ANSWERS=str(answers)) as servers:
            rows = []
            for what, (mine, theirs, aim) in kinds.items():
                cpu: dict[str, list[float]] = {"ours": [], "bare": []}
                for number in range(options.rounds + 1):
                    for each, request in (("bare", theirs), ("ours", mine)):
                        server = servers[each]
                        share = shared(lambda _, one=request: one, options.requests // 3, options.connections)  # type: ignore[misc]
                        result = run(server.port, share, [server.pid, store.pid])
                        if number:
                            cpu[each].append(result.cpu_us)
                rows.append(row(_SECTION, what, cpu["ours"], "µs"))
                rows.append(row(_SECTION, f"{what}, bare view", cpu["bare"], "µs"))
                rows.append(row(_SECTION, f"{what} / bare", ratios(cpu["ours"], cpu["bare"]), "", aim=aim))
            return rows


def fill(settings: Settings, port: int, count: int) -> None:
    """Store that many finished jobs through their callbacks."""
    path = "/callbacks/" + callback_url(settings, Binding(name="bench")).rpartition("/")[2]
    requests = shared(
        lambda each: Request(path, payloads.voice_separate(str(each), xml=each % 2 == 0)), count, 8
    )
    run(port, requests, [])


def _job_id(number: int) -> str:
    return payloads.job_id(str(number))


def _get(port: int, path: str, headers: dict[str, str]) -> tuple[bytes, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"GET {path} answered {answer.status}: {body[:300]!r}")
    return body, answer.headers.get("ETag", "")
