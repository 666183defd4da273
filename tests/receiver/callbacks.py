"""Callbacks as tests send them."""

from __future__ import annotations

import requests

from app.core.clock import now_ms
from app.core.tokens import Binding, mint, new_nonce
from app.settings import Settings
from app.store import Store
from tests.ci import samples
from tests.ci.samples import Tree


def a_token(settings: Settings, **binding: object) -> str:
    """A token of this service; by default one for the console's queue settings, which binds nothing."""
    return mint(Binding(**{"name": "tests", "nonce": new_nonce(), **binding}), settings.callback_keys)  # type: ignore[arg-type]


def body(**changes: object) -> bytes:
    """A finished VoiceSeparate job, as CI would report it in JSON."""
    return samples.to_json(samples.event(samples.voice_separate(**changes)))


def body_of(detail: Tree | list[Tree]) -> bytes:
    return samples.to_json(samples.event(detail))


def post(url: str, token: str, content: bytes, **headers: str) -> requests.Response:
    """One callback over real HTTP."""
    return requests.post(f"{url}/callbacks/{token}", data=content, headers=headers, timeout=60)


def due_in_s(store: Store, job_id: str) -> float | None:
    """Seconds until CI is to be asked about the job."""
    score = store.db.client.zscore(store.db.key("due"), job_id)
    return None if score is None else (float(score) - now_ms()) / 1000
