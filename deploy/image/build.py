"""Runs the stages of the Dockerfile in folders, by chroot."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from deploy.image.dockerfile import Stage, Step, environment_of, read_stages

_SUITE = {"debian:13": "trixie", "debian:12": "bookworm"}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Image(NamedTuple):
    """The last stage: its root folder, its instructions, and its size."""

    root: Path
    stage: Stage
    environment: dict[str, str]
    size_bytes: int
    added_bytes: int


def build_image(context: Path, folder: Path, given: Mapping[str, str]) -> Image:
    """``folder/<stage>`` is the root of each stage; ``given`` are arguments as of ``--build-arg``. Raises
    CalledProcessError where a step fails, and ValueError for an argument that the Dockerfile does not have."""
    stages = read_stages((context / "Dockerfile").read_text(), given)
    folder.mkdir(parents=True, exist_ok=True)
    base = _base(stages[0].base, folder)
    for stage in stages:
        root = folder / stage.name
        parent = folder / stage.base if (folder / stage.base).is_dir() else base
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "--archive", "--reflink=auto", parent, root], check=True)
        _run_stage(stage, root, context, folder, given)
    size = _size(root)
    return Image(root, stage, environment_of(stage.steps), size, size - _size(base))


def _base(image: str, folder: Path) -> Path:
    """The packages of Debian's slim image, with the manuals that it removes."""
    base = folder / "base"
    if not (base / "etc/debian_version").exists():
        suite = next(suite for name, suite in _SUITE.items() if image.startswith(name))
        subprocess.run(["debootstrap", "--variant=minbase", suite, base], check=True)
        for removed in (
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
            "var/cache/apt",
            "var/lib/apt/lists",
        ):
            shutil.rmtree(base / removed, ignore_errors=True)
    return base


def _run_stage(stage: Stage, root: Path, context: Path, folder: Path, given: Mapping[str, str]) -> None:
    workdir = Path("/")
    for step in stage.steps:
        if step.word == "WORKDIR":
            workdir = workdir / step.text
            (root / str(workdir).lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.word == "COPY":
            _copy(step, root, workdir, context, folder)
        elif step.word == "RUN":
            _run(step.text, root, workdir, given)


def _copy(step: Step, root: Path, workdir: Path, context: Path, folder: Path) -> None:
    *options, source, target = step.text.split()
    origin = context
    for option in options:
        name, _, stage = option.partition("=")
        if name != "--from":
            raise ValueError(f"COPY {option}: not an option that is run here")
        origin = folder / stage
    found = origin / source.lstrip("/")
    place = root / str(workdir / target).lstrip("/")
    if found.is_dir():
        ignored = shutil.ignore_patterns("__pycache__") if origin == context else None
        shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True, ignore=ignored)
    else:
        place = place / found.name if target.endswith("/") else place
        shutil.copy2(found, place)


def _run(command: str, root: Path, workdir: Path, given: Mapping[str, str]) -> None:
    """As a container engine does: with this machine's name servers and a /proc, both gone afterwards."""
    shutil.copy2("/etc/resolv.conf", root / "etc/resolv.conf")
    inside = 'mount -t proc proc "$1/proc" && exec chroot "$1" /bin/sh -c "cd $2 && $3"'
    arguments = ["unshare", "--mount", "/bin/sh", "-c", inside, "sh", str(root), str(workdir), command]
    environment = {"PATH": _PATH, "DEBIAN_FRONTEND": "noninteractive"}
    with _authority(root) as authority:
        subprocess.run(arguments, check=True, env=environment | _network() | authority | dict(given))


@contextlib.contextmanager
def _authority(root: Path) -> Iterator[dict[str, str]]:
    """If pip on this machine trusts an authority of its own (PIP_CERT), so does the step."""
    if "PIP_CERT" not in os.environ:
        yield {}
        return
    lent = root / "run/authority.pem"
    shutil.copy2(os.environ["PIP_CERT"], lent)
    try:
        yield {"PIP_CERT": "/run/authority.pem"}
    finally:
        lent.unlink()


def _network() -> dict[str, str]:
    """The proxy and package index that this machine uses; docker build takes them as arguments."""
    return {
        name: value for name, value in os.environ.items() if name.lower().endswith(("_proxy", "_index_url"))
    }


def _size(root: Path) -> int:
    command = ["du", "--summarize", "--bytes", "--one-file-system", str(root)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0])
