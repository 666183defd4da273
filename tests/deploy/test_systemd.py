"""The systemd units, by systemd's own checks."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.settings import Settings
from harness.servers import ROOT

FOLDER = ROOT / "deploy/systemd"
UNITS = sorted(FOLDER.glob("*.service"))
SHARED = "# The same in all three units: deploy/systemd."
EXPOSURE = 1.5
"""systemd-analyze's own scale: 10 is a unit without any protection."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def names(unit: Path) -> str:
    return unit.stem


def test_there_is_a_unit_for_each_process_of_the_procfile() -> None:
    roles = re.findall(r"^(\w+):", (ROOT / "Procfile").read_text(), re.MULTILINE)
    assert {unit.stem for unit in UNITS} == {f"receiver-{role}" for role in roles}


@pytest.mark.parametrize("unit", UNITS, ids=names)
def test_a_unit_starts_what_the_procfile_starts(unit: Path) -> None:
    role = unit.stem.removeprefix("receiver-")
    (command,) = re.findall(rf"^{role}: (.*)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
    assert f"ExecStart=/opt/ci-callback-receiver/venv/bin/{command}\n" in unit.read_text()


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=names)
def test_systemd_understands_each_line(unit: Path, tmp_path: Path) -> None:
    """The program is a stand-in: it is not installed here."""
    installed = tmp_path / unit.name
    installed.write_text(re.sub(r"/opt/ci-callback-receiver/venv/bin/\w+", "/bin/true", unit.read_text()))
    found = subprocess.run(
        ["systemd-analyze", "verify", installed], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=names)
def test_systemd_finds_little_exposed(unit: Path) -> None:
    subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", unit],
        capture_output=True,
        check=True,
    )


def test_the_protection_is_the_same_in_all_units() -> None:
    assert len({unit.read_text().partition(SHARED)[2] for unit in UNITS}) == 1
    assert all(SHARED in unit.read_text() for unit in UNITS)


@pytest.mark.parametrize("unit", UNITS, ids=names)
def test_secrets_come_as_credentials_by_names_that_the_product_knows(unit: Path) -> None:
    variables = re.findall(r"^Environment=(\w+)_FILE=(.*)$", unit.read_text(), re.MULTILINE)
    assert {name for name, _ in variables} <= {name.upper() for name in Settings.model_fields}
    assert all(path == f"%d/secrets_{name.lower()}" for name, path in variables)


def test_systemd_listens_where_the_web_process_would() -> None:
    """A restart refuses no connection, because systemd has the listening socket."""
    (address,) = re.findall(
        r"^ListenStream=(.*)$", (FOLDER / "receiver-web.socket").read_text(), re.MULTILINE
    )
    host, _, port = address.partition(":")
    bind = next(
        line for line in (ROOT / "gunicorn.conf.py").read_text().splitlines() if line.startswith("bind")
    )
    assert f"'HOST', '{host}'" in bind
    assert f"'PORT', '{port}'" in bind
    assert "Wants=receiver-web.socket\n" in (FOLDER / "receiver-web.service").read_text()


def run_with_stand_ins(folder: Path, unit: str, *command: str) -> list[str]:
    """The arguments that receiver-run gives to systemd-run, where ``unit`` is what systemctl shows of receiver-web."""
    (folder / "unit").write_text(unit)
    for name, body in {
        "systemctl": f'[ "$1" = stop ] || cat {folder}/unit',
        "systemd-run": f'printf "%s\\n" "$@" > {folder}/given; exit 3',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [FOLDER / "receiver-run", *command], env={"PATH": f"{folder}:/usr/bin:/bin"}, check=False
    )
    assert done.returncode == 3, "the exit code of the command"
    return (folder / "given").read_text().splitlines()


def test_receiver_run_takes_every_setting_and_protection_of_the_unit(tmp_path: Path) -> None:
    """The credentials are in a folder of the command's own unit, and its lines come from drop-ins, too."""
    web = (FOLDER / "receiver-web.service").read_text()
    dropped = '\n# /etc/systemd/system/receiver-web.service.d/a.conf\n[Service]\nEnvironment="A=b c"\n'
    given = run_with_stand_ins(tmp_path, web + dropped, "flask", "keys", "create", "a b")
    (unit,) = (each.removeprefix("--unit=") for each in given if each.startswith("--unit="))
    lines = [line for line in web.partition(SHARED)[2].partition("[Install]")[0].splitlines() if line]
    expected = {line.replace("%d", f"/run/credentials/{unit}") for line in [*lines, 'Environment="A=b c"']}
    properties = {each.removeprefix("--property=") for each in given if each.startswith("--property=")}
    assert expected <= properties
    assert "Environment=SPOOL_DIR=/var/lib/ci-callback-receiver/spool" in properties
    assert not [each for each in properties if re.match(r"Type|Exec|Restart|Wants|WantedBy|Start", each)]
    assert given[-4:] == ["/opt/ci-callback-receiver/venv/bin/flask", "keys", "create", "a b"]


def test_each_process_serves_its_metrics_at_a_port_of_its_own() -> None:
    ports = [
        port
        for unit in UNITS
        for port in re.findall(r"^Environment=METRICS_PORT=(\d+)$", unit.read_text(), re.M)
    ]
    assert len(ports) == len(set(ports)) == 2, "relay and worker; the web service has /metrics"


def test_each_unit_is_an_ini_file_with_three_sections() -> None:
    for unit in UNITS:
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read(unit)
        assert parser.sections() == ["Unit", "Service", "Install"]
