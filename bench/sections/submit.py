"""A submission through ``POST /v1/jobs``, compared with the SDK call alone, and with a minimal service that must not
lose one. The processor time of the emulator is not counted."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

from app.services import Services
from app.store.access.api_keys import SCOPES
from bench.load import Request, run, shared
from bench.options import Options
from bench.serve import serve
from bench.settings import measured_settings
from bench.table import Row, ratios, row
from harness.servers import ROOT, Emulator, Valkey, free_port

_SECTION = "submitting a job (processor time of web and store, of the SDK's process)"
_COUNT = 200
"""Submissions in a round."""


def measure(options: Options) -> list[Row]:
    with (
        tempfile.TemporaryDirectory() as name,
        Valkey(Path(name), "--appendfsync", "always") as store,
        Emulator(Path(name), free_port()) as emulator,
    ):
        # Jobs do not end, so that the emulator sends no callbacks during the measurement.
        slow = {"queue_seconds": 3600, "run_seconds": 3600}
        requests.patch(f"{emulator.url}/_emulator/settings", json=slow, timeout=5).raise_for_status()
        settings = measured_settings(store.url, key_prefix="ci:", ci_endpoint=emulator.url)
        key = Services.open(settings, timeout=5).store.api_keys.create("bench", frozenset(SCOPES))
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        cpu: dict[str, list[float]] = {"ours": [], "floor": [], "alone": []}
        with serve(settings, Path(name), ("ours", "floor"), BENCH_WORKER_CLASS="gevent") as servers:
            for number in range(options.rounds + 1):
                share = shared(
                    lambda each, number=number: Request(  # type: ignore[misc]
                        "/v1/jobs", _job(number, each), headers=headers, status=201
                    ),
                    _COUNT,
                    2,
                )
                took = {
                    name: run(server.port, share, [server.pid, store.pid]).cpu_us
                    for name, server in servers.items()
                }
                took["alone"] = _sdk_calls(emulator.url.removeprefix("http://"), settings.cos_bucket or "")
                if number:
                    for kind, each in took.items():
                        cpu[kind].append(each)
    ours, floor, alone = cpu.values()
    return [
        row(_SECTION, "POST /v1/jobs", ours, "µs"),
        row(_SECTION, "floor: a view that stores, calls the SDK, stores", floor, "µs"),
        row(_SECTION, "the SDK's call alone", alone, "µs"),
        row(_SECTION, "POST /v1/jobs / the SDK's call", ratios(ours, alone), "", aim=1.5),
        row(_SECTION, "floor / the SDK's call", ratios(floor, alone), ""),
        row(_SECTION, "POST /v1/jobs / floor", ratios(ours, floor), ""),
    ]


def _job(number: int, each: int) -> bytes:
    return json.dumps(
        {
            "tag": "VoiceSeparate",
            "input": {"object": f"input/{number}-{each}.mp3"},
            "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
            "output": {"object": "out/background.${ext}", "au_object": "out/vocals.${ext}"},
        }
    ).encode()


def _sdk_calls(host: str, bucket: str) -> float:
    command = [sys.executable, "-m", "bench.peers.sdk_calls", host, bucket, "ap-chongqing", str(_COUNT)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])
