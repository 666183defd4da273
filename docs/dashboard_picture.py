"""The picture of the Grafana dashboard: ``python -m docs.dashboard_picture``.

Grafana is not needed. A real Prometheus reads a real stack under some load and answers the queries of the dashboard's
file; the answers are drawn at the places that the file gives its panels. It takes three minutes.
"""

from __future__ import annotations

import json
import math
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import requests

from harness.downstream import KEY, Downstream, Reply
from harness.servers import ROOT, Emulator, Valkey, eventually, free_port
from tests.metrics.watched import Prometheus, Watched
from tests.receiver.callbacks import a_token, body, post

DASHBOARD: Final = ROOT / "deploy/grafana/dashboard.json"
FILE: Final = Path(__file__).parent / "pictures/dashboard.svg"

_LOAD_S = 150
_STEP_S = 2
_COLUMN, _ROW = 50, 24
_COLOURS: Final = ("#5794f2", "#73bf69", "#ff9830", "#f2495c", "#b877d9", "#fade2a", "#8ab8ff", "#96d98d")
_STYLE: Final = """<style>
 text { font: 11px sans-serif; fill: #24292f } .title { font-weight: bold } .head { font-size: 14px; font-weight: bold }
 .value { font-size: 24px; text-anchor: middle } .quiet { fill: #6e7781 } .back { fill: #fff } .panel { fill: #f6f8fa }
 polyline { fill: none; stroke-width: 1.5 } .axis { stroke: #d0d7de }
 @media (prefers-color-scheme: dark) { text { fill: #d0d7de } .quiet { fill: #8b949e } .back { fill: #0d1117 }
  .panel { fill: #161b22 } .axis { stroke: #30363d } }
</style>"""

Line = tuple[str, list[tuple[float, float]]]
"""Its name in the legend, and its points: seconds since 1970, value."""


def draw(panels: list[dict[str, Any]], lines: dict[int, list[Line]]) -> str:
    """An SVG of the panels; ``lines`` by the panel's id."""
    width = 24 * _COLUMN
    height = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in panels) * _ROW
    parts = [_panel(each, lines.get(each["id"], [])) for each in panels]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([head, _STYLE, '<rect class="back" width="100%" height="100%"/>', *parts, "</svg>", ""])


def _panel(panel: dict[str, Any], lines: list[Line]) -> str:
    place = panel["gridPos"]
    x, y = place["x"] * _COLUMN, place["y"] * _ROW
    width, height = place["w"] * _COLUMN - 8, place["h"] * _ROW - 8
    title = escape(panel["title"])
    if panel["type"] == "row":
        inner = f'<text class="head" x="4" y="16">{title}</text>'
    else:
        unit = panel["fieldConfig"]["defaults"].get("unit", "short")
        drawn = _stat if panel["type"] == "stat" else _chart
        inner = f'<rect class="panel" width="{width}" height="{height}" rx="3"/>'
        inner += f'<text class="title" x="8" y="16">{title}</text>' + drawn(lines, unit, width, height)
    return f'<g transform="translate({x + 4} {y + 4})">{inner}</g>'


def _stat(lines: list[Line], unit: str, width: int, height: int) -> str:
    said = said_in(unit, lines[0][1][-1][1]) if lines else "no data"
    return f'<text class="value" x="{width / 2:g}" y="{height / 2 + 18:g}">{said}</text>'


def _chart(lines: list[Line], unit: str, width: int, height: int) -> str:
    if not lines:
        return f'<text class="quiet" x="{width / 2:g}" y="{height / 2:g}" text-anchor="middle">no data</text>'
    left, top, right, bottom = 62, 28, width - 10, height - 38
    times = [at for _, points in lines for at, _ in points]
    first, span = min(times), max(max(times) - min(times), 1)
    highest = max((value for _, points in lines for _, value in points), default=0) or 1
    parts = []
    for part in (0.0, 0.5, 1.0):
        at = bottom - part * (bottom - top)
        parts.append(f'<line class="axis" x1="{left}" y1="{at:g}" x2="{right}" y2="{at:g}"/>')
        said = said_in(unit, part * highest)
        parts.append(f'<text class="quiet" x="{left - 6}" y="{at + 4:g}" text-anchor="end">{said}</text>')
        at = left + part * (right - left)
        parts.append(f'<line class="axis" x1="{at:g}" y1="{bottom}" x2="{at:g}" y2="{bottom + 4}"/>')
        anchor = "start" if part == 0 else "end" if part == 1 else "middle"
        clock = minutes(part * span)
        parts.append(
            f'<text class="quiet" x="{at:g}" y="{bottom + 15}" text-anchor="{anchor}">{clock}</text>'
        )
    room, shown = left, lines[: len(_COLOURS)]
    for colour, (name, points) in zip(_COLOURS, shown, strict=False):
        dots = " ".join(
            f"{left + (at - first) / span * (right - left):.1f},{bottom - value / highest * (bottom - top):.1f}"
            for at, value in points
        )
        parts.append(f'<polyline stroke="{colour}" points="{dots}"/>')
        if room + 14 + 6 * len(name) < right:
            parts.append(f'<rect x="{room}" y="{height - 12}" width="10" height="3" fill="{colour}"/>')
            parts.append(f'<text x="{room + 14}" y="{height - 6}">{escape(name)}</text>')
        room += 28 + 6 * len(name)
    return "".join(parts)


def said_in(unit: str, value: float) -> str:
    """A value in Grafana's unit ``bytes``, ``s``, ``ops``, ``reqps`` or ``short``."""
    if unit == "bytes":
        power = min(3, int(math.log(value, 1024))) if value >= 1 else 0
        return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB')[power]}"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if 0 < value < 1 else f"{value:.3g} s"
    said = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{said}/s" if unit in {"ops", "reqps"} else said


def minutes(seconds: float) -> str:
    """Minutes and seconds since the chart begins."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def asked(prometheus: str, panel: dict[str, Any], begin: float, end: float) -> list[Line]:
    """The answers to a panel's queries; what is not a number is left out."""
    found: list[Line] = []
    for target in panel.get("targets", ()):
        query = target["expr"].replace("$__rate_interval", "15s").replace("$job", ".*")
        asking = {"query": query, "start": begin, "end": end, "step": _STEP_S}
        answer = requests.get(f"{prometheus}/api/v1/query_range", params=asking, timeout=10)
        answer.raise_for_status()
        for series in answer.json()["data"]["result"]:
            points = [(at, float(value)) for at, value in series["values"] if math.isfinite(float(value))]
            if points:
                found.append((_name(target["legendFormat"], series["metric"]), points))
    return found


def _name(legend: str, labels: dict[str, str]) -> str:
    for label, value in labels.items():
        legend = legend.replace(f"{{{{{label}}}}}", value)
    return legend


def _load(watched: Watched, seconds: float) -> None:
    """Callbacks in waves: of several tags, some of them twice, some broken; and a job for the emulator now and then."""
    token, chance, begin = a_token(watched.settings), random.Random(7), time.monotonic()  # noqa: S311 - no secret
    wanted = {
        "tag": "VoiceSeparate",
        "input": {"object": "input/demo.mp4"},
        "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
        "output": {"au_object": "out/vocals.${ext}"},
    }
    number = 0
    while (gone := time.monotonic() - begin) < seconds:
        number += 1
        tag = chance.choice(("VoiceSeparate", "VoiceSeparate", "Transcode", "Quick", "Quick", "Quick"))
        content = body(JobId=f"jload{number - (number % 15 == 0)}", Tag=tag)
        post(watched.url, token, b"<broken" if number % 40 == 0 else content)
        if number % 50 == 0:
            watched.call("POST", "/v1/jobs", json=wanted)
        time.sleep(0.04 + 0.03 * math.sin(gone / 10))


def main(file: Path = FILE) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    with ExitStack() as running:
        place = Path(running.enter_context(tempfile.TemporaryDirectory()))
        for name in ("valkey", "emulator", "stack"):
            (place / name).mkdir()
        valkey = running.enter_context(Valkey(place / "valkey"))
        emulator = running.enter_context(Emulator(place / "emulator", free_port()))
        endpoint = running.enter_context(Downstream())
        endpoint.behaviours["/hook"] = lambda _, before: Reply(503 if before % 25 == 0 else 204)
        changes: dict[str, object] = {
            "forward_urls": f"{endpoint.url}/hook#name=archive",
            "forward_keys": KEY,
            "forward_allow_private": "127.0.0.0/8",
            "spool_dir": place / "stack/spool",
        }
        watched = running.enter_context(Watched(valkey, emulator, place / "stack", **changes))
        prometheus = running.enter_context(Prometheus(watched, place / "stack"))
        eventually(lambda: len(prometheus.ask("up == 1")) == 3, "Prometheus to read all three")
        _load(watched, _LOAD_S)
        end = time.time()
        lines = {each["id"]: asked(prometheus.url, each, end - _LOAD_S + 20, end) for each in panels}
    file.write_text(draw(panels, lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
