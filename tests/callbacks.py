"""Callbacks that the tests make in CI's published format, and a client that posts them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import requests

from app.core.tokens import Binding, mint, new_nonce
from app.settings import Settings


def body(job_id: str, state: str = "Success", **fields: Any) -> bytes:
    """A job's callback as CI sends it in JSON."""
    detail = {
        "Code": "Success",
        "CreationTime": "2026-01-02T10:00:00+0800",
        "EndTime": "2026-01-02T10:01:00+0800" if state == "Success" else "",
        "JobId": job_id,
        "State": state,
        "Tag": "VoiceSeparate",
        "Input": {"BucketId": "demo-1250000000", "Object": "input/demo.mp3", "Region": "ap-chongqing"},
        **fields,
    }
    return json.dumps({"JobsDetail": [detail]}).encode()


def path(settings: Settings, binding: Binding | None = None) -> str:
    """The path of a callback: by default with a token that is bound to nothing."""
    return f"/callbacks/{mint(binding or Binding(name='tests', nonce=new_nonce()), settings.callback_keys)}"


def new_job_id() -> str:
    return "j" + secrets.token_hex(8)


def outcome(answer: Any) -> str:
    """The outcome of the only job in an answer of 200."""
    document = answer.get_json() if hasattr(answer, "get_json") else answer.json()
    assert answer.status_code == 200, document
    word: str = document["results"][0]["outcome"]
    return word


class Sender:
    """Posts callbacks one after the other, and keeps the answers."""

    def __init__(self, url: str, *, keep_alive: bool = False) -> None:
        self._url = url
        self._keep_alive = keep_alive
        self._session = requests.Session()
        self.answered: dict[str, str] = {}
        self.failed: list[str] = []

    def send(self, job_id: str, state: str = "Success") -> None:
        """Post one callback, and record the result in ``answered`` or ``failed``."""
        headers = {} if self._keep_alive else {"Connection": "close"}
        try:
            answer = self._session.post(self._url, data=body(job_id, state), headers=headers, timeout=30)
        except requests.RequestException as error:
            self.failed.append(f"{job_id}: {type(error).__name__}: {error}")
            return
        if answer.status_code == 200:
            self.answered[job_id] = outcome(answer)
        else:
            self.failed.append(f"{job_id}: {answer.status_code} {answer.text[:200]}")

    def send_while(self, wanted: Callable[[], bool]) -> None:
        """Send at most 50 a second, so that the code under test gets processor time too."""
        while wanted():
            self.send(new_job_id())
            time.sleep(0.02)
