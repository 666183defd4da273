"""The how-tos of deployment: what they show is run as far as no account, cluster or engine is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.image.dockerfile import read_stages
from harness.servers import ROOT

FOLDER = ROOT / "docs/how-to"


def blocks(page: str) -> list[str]:
    """The indented and plain code blocks of a page, without the indent."""
    found = re.findall(r"^( *)```\n(.*?)^ *```$", (FOLDER / page).read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def test_systemd_copies_what_the_image_copies() -> None:
    copy, *others = [
        line for block in blocks("systemd.md") for line in block.splitlines() if line.startswith("cp -r")
    ]
    assert others == [copy], "the upgrade copies the same"
    _, _, *named, target = copy.split()
    stages = read_stages((ROOT / "Dockerfile").read_text())
    steps = [step.text.split() for stage in stages for step in stage.steps if step.word == "COPY"]
    assert set(named) == {words[0] for words in steps if not words[0].startswith("--from")}
    assert target == "/opt/ci-callback-receiver"


def test_the_overlay_of_the_how_to_changes_image_address_and_bucket(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    overlay = next(block for block in blocks("kubernetes.md") if block.startswith("resources:"))
    shutil.copytree(ROOT / "deploy/kubernetes", tmp_path / "deploy/kubernetes")
    folder = tmp_path / "overlays/mine"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text(overlay)
    built = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"image: (\S+)", built)) == {"registry.internal/receiver:1"}
    settings = next(each for each in yaml.safe_load_all(built) if each["kind"] == "ConfigMap")
    assert settings["data"]["PUBLIC_URL"] == "https://ci.example.org"
    assert settings["data"]["COS_REGION"] == "ap-chongqing"


def test_each_file_and_folder_that_a_how_to_names_is_there() -> None:
    pages = "".join(page.read_text() for page in FOLDER.glob("*.md"))
    named = set(re.findall(r"\bdeploy/(?:kubernetes|systemd|proxies)[\w./-]*", pages))
    assert {each for each in named if not (ROOT / each.rstrip(".")).exists()} == set()
    assert len(named) > 4
