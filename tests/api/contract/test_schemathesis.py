"""schemathesis, which reads the OpenAPI document and looks for violations of it, finds none.

From outside, against real processes, with every check it has: examples of the document, the edges of each schema,
random requests that fit it and that do not, and sequences in which one answer feeds the next request.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from harness.servers import Service
from tests.api.stored import put
from tests.ci.samples import voice_separate

_CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
_EXAMPLES = 10
"""Random requests of an operation, of each kind: the run takes some 15 seconds of processor."""


def test_schemathesis_finds_nothing(service: Service, tmp_path: Path) -> None:
    """The document is as strict as the service, and every answer is one that it describes.

    One check is left to ``test_keys.py``: it sends more wrong keys than an address may in a minute.
    """
    known = voice_separate()["Input"] | {"BucketId": "demo-1250000000"}
    put(service.services.store, "j1", Input=known)
    found = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", _CONFIGURATION),
            *("run", f"{service.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {service.key}"),
            *(
                "--checks",
                "all",
                "--exclude-checks",
                "ignored_auth",
                "--phases",
                "examples,coverage,fuzzing,stateful",
            ),
            *("--max-examples", str(_EXAMPLES), "--generation-deterministic", "--workers", "1"),
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert re.search(r"Stateful \(in.*?(\d{3,}) generated, \1 passed", found.stdout, re.DOTALL), found.stdout
