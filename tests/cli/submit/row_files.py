"""Files of rows, and which of the rows CI has as jobs."""

from __future__ import annotations

from pathlib import Path

from app.services import Services
from harness.emulated import Emulated

COMMON = ("--audio-mode", "IsAudio", "--codec", "mp3")

HEAD = "input.object,output.au_object,user_data,labels.order\n"


def rows_of(count: int, start: int = 0) -> str:
    return "".join(f"in/{n}.mp3,out/{n}.mp3,row-{n},{n}\n" for n in range(start, start + count))


def file_of(tmp_path: Path, text: str, name: str = "jobs.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def submitted(services: Services, ci: Emulated) -> list[str]:
    """The user data of every job that CI lists."""
    found: list[str] = []
    token = None
    while True:
        page = services.provider.list_jobs(ci.bucket, "ap-chongqing", "VoiceSeparate", next_token=token)
        found += [detail.report.user_data or "" for detail in page.details]
        token = page.next_token
        if token is None:
            return sorted(found)


def wanted(count: int) -> list[str]:
    return sorted(f"row-{n}" for n in range(count))
