"""A whole service that shows its metrics everywhere, and a Prometheus that reads them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import requests

from harness.servers import ROOT, Emulator, Process, Service, Valkey, eventually, free_port, is_up
from harness.settings import make_settings
from tests.metrics.reading import page_of

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"


class Watched(Service):
    """Relay and worker each with a port for their metrics."""

    def __init__(self, valkey: Valkey, emulator: Emulator, folder: Path, **changes: object) -> None:
        port = free_port()
        settings = make_settings(
            valkey.url,
            public_url=f"http://127.0.0.1:{port}",
            ci_endpoint=emulator.url,
            handlers="tests.workers.some_handlers",
            **changes,
        )
        super().__init__(settings, port, folder, NOTES="/dev/null")
        self.pages = {"web": self.url}
        for role, process in (("relay", self.relay), ("worker", self.worker)):
            own = free_port()
            process._environment = (process._environment or {}) | {"METRICS_PORT": str(own)}
            self.pages[role] = f"http://127.0.0.1:{own}"

    def page(self, role: str = "web") -> str:
        return page_of(self.pages[role])


class Prometheus(Process):
    """The real server, with the rules of deploy/prometheus, asking every three seconds: a scrape
    may take as long as the pause between two."""

    def __init__(self, watched: Watched, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        targets = {role: page.removeprefix("http://") for role, page in watched.pages.items()}
        config = {
            "global": {"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [
                {"job_name": role, "static_configs": [{"targets": [target]}]}
                for role, target in targets.items()
            ],
        }
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(config))
        command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={self.url[7:]}"]
        super().__init__(command, folder / "prometheus.log", dict(os.environ))

    def start(self) -> None:
        super().start()
        eventually(lambda: is_up(f"{self.url}/-/ready"), self.text)

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an expression; an error in the expression raises."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        groups = requests.get(f"{self.url}/api/v1/rules", timeout=10).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self) -> set[str]:
        return {rule["name"] for rule in self.rules() if rule["state"] == "firing"}
