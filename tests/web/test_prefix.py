"""A PUBLIC_URL with a path: every address works, whether a proxy strips the path or passes it on."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest

from app import create_app
from harness.servers import Valkey
from harness.settings import make_settings
from tests.receiver.callbacks import a_token, body


@pytest.mark.parametrize("prefix", ["", "/ci/x"])
def test_everything_is_found_under_the_path(valkey: Valkey, prefix: str) -> None:
    """Callbacks, look-ups, the page, and the API docs with all that they load."""
    settings = make_settings(valkey.url, public_url="https://example.com/ci/x")
    client = create_app(settings).test_client()
    assert client.get(f"{prefix}/healthz").status_code == 200
    assert client.post(f"{prefix}/callbacks/{a_token(settings)}", data=body()).status_code == 200
    assert client.get(f"{prefix}/v1/jobs").status_code == 401
    shown = client.get(f"{prefix}/", follow_redirects=True)
    assert (shown.status_code, shown.request.path) == (200, f"{prefix}/login")
    docs = f"{prefix}/docs/"
    page = client.get(docs).text
    loaded = [
        each for each in re.findall(r'(?:href|src)="([^"#][^"]*)"', page) if not each.startswith("data:")
    ]
    assert f"{prefix}/openapi.json" in {urljoin(docs, each) for each in loaded}
    assert len(loaded) > 5
    for address in loaded:
        assert client.get(urljoin(docs, address), follow_redirects=True).status_code == 200, address
