"""The chats of CHAT_WEBHOOK get messages about trouble, by real processes, in the format of each product."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from app.services import Services
from app.settings.chats import Chat
from app.store import Event, Job
from harness.servers import Service, eventually
from harness.settings import make_settings
from tests.workers.conftest import Start
from tests.workers.news import tell
from workers.forward.chat import chat_message, chat_result, text_of_event
from workers.forward.http_post import EndpointAnswer

SECRET = "SECb0123456789"
MODULE = """
from workers.handlers import Event, Job, handler

@handler(tries=1, name="publish")
def breaks(event: Event, job: Job) -> None:
    raise RuntimeError("the index is <away> & gone")
"""


class Room:
    """A chat's server: it answers as the product does, and keeps what was posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, list[tuple[int, str]]] = {}
        room = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                room.posted.append((self.path, json.loads(body)))
                name = urlsplit(self.path).path
                waiting = room.answers.get(name, [])
                status, text = waiting.pop(0) if waiting else (200, _FINE.get(name, "ok"))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"https://elsewhere.example.com{self.path}")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def on(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        return [each for each in self.posted if urlsplit(each[0]).path == path]


_FINE = {
    "/wecom": '{"errcode":0,"errmsg":"ok"}',
    "/dingtalk": '{"errcode":0,"errmsg":"ok"}',
    "/feishu": '{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}',
}


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    threading.Thread(target=room.server.serve_forever, args=(0.05,), daemon=True).start()
    yield room
    room.server.shutdown()
    room.server.server_close()


@pytest.fixture
def service(start: Start, room: Room, tmp_path: Path) -> Service:
    """A service whose only handler fails, with a chat of each kind."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "chatty_handlers.py").write_text(MODULE)
    chats = [
        f"{room.url}/slack#kind=slack&name=slack",
        f"{room.url}/wecom?key=hidden-key#kind=wecom&name=wecom",
        f"{room.url}/dingtalk?access_token=hidden-token#kind=dingtalk&name=dingtalk&secret={SECRET}",
        f"{room.url}/feishu#kind=feishu&name=feishu&secret={SECRET}",
        f"{room.url}/late#kind=slack&name=late&on=overdue",
    ]
    return start(
        {"PYTHONPATH": str(tmp_path / "mine")}, handlers="chatty_handlers", chat_webhook=",".join(chats)
    )


def test_each_chat_gets_its_own_body(service: Service, room: Room) -> None:
    """One message each, with its product's body and signature; a chat for another kind of event gets none. Text from
    outside is escaped, so that it cannot mention a channel."""
    job_id, _ = tell(service.services)
    eventually(lambda: len(room.posted) == 4, "four messages")
    ((_, slack),), ((_, wecom),) = room.on("/slack"), room.on("/wecom")
    assert f"handler publish is out of tries for job {job_id} (VoiceSeparate" in slack["text"]
    assert "the index is &lt;away&gt; &amp; gone" in slack["text"]
    assert wecom["msgtype"] == "text" and "the index is <away> & gone" in wecom["text"]["content"]
    ((path, dingtalk),), ((_, feishu),) = room.on("/dingtalk"), room.on("/feishu")
    assert dingtalk == wecom
    query = parse_qs(urlsplit(path).query)
    signed = hmac.new(SECRET.encode(), f"{query['timestamp'][0]}\n{SECRET}".encode(), hashlib.sha256)
    assert query["sign"] == [base64.b64encode(signed.digest()).decode()]
    assert query["access_token"] == ["hidden-token"]
    assert feishu["msg_type"] == "text" and "\uff1caway\uff1e" in feishu["content"]["text"]
    signed = hmac.new(f"{feishu['timestamp']}\n{SECRET}".encode(), b"", hashlib.sha256)
    assert feishu["sign"] == base64.b64encode(signed.digest()).decode()
    assert abs(int(feishu["timestamp"]) - time.time()) < 600


def test_a_chat_that_refuses_is_tried_again_and_shows_no_secret(service: Service, room: Room) -> None:
    """An error code in an answer of 200 is a refusal. The webhook's secrets are in no log, metric or answer."""
    room.answers = {
        "/wecom": [(200, '{"errcode":45009,"errmsg":"reach max api limit"}')],
        "/dingtalk": [(302, "")],
        "/feishu": [(200, '{"code":19024,"msg":"key words not found"}')],
    }
    tell(service.services)
    for path in ("/wecom", "/dingtalk", "/feishu"):
        eventually(lambda path=path: len(room.on(path)) == 2, f"another try at {path}")  # type: ignore[misc]
    endpoints = {each["name"]: each for each in service.call("GET", "/v1/endpoints").json()["endpoints"]}
    assert "45009: reach max api limit" in endpoints["wecom"]["last_error"]
    assert "19024: key words not found" in endpoints["feishu"]["last_error"]
    shown = json.dumps(endpoints) + "".join(each.text() for each in service.processes)
    shown += service.call("GET", "/v1/failures").text + service.call("GET", "/metrics").text
    assert "refused with code 45009" in shown
    for secret in ("hidden-key", "hidden-token", SECRET):
        assert secret not in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://chat/x", "not an http"),
        ("https://chat.example.com/hidden", "add #kind="),
        ("https://hooks.slack.com/hidden#on=overdu", "did you mean 'overdue'"),
        ("https://hooks.slack.com/hidden#room=1", "there may be kind"),
        ("https://hooks.slack.com/hidden#name=a|b", "printable ASCII"),
    ],
)
def test_a_wrong_webhook_is_refused_without_its_secret(text: str, message: str) -> None:
    """The message says what is wrong, and repeats nothing of the URL but its host."""
    with pytest.raises(ValueError, match=message) as raised:
        Chat.parse(text)
    assert "hidden" not in str(raised.value)


def test_the_kind_is_known_by_the_host() -> None:
    """The hosts of the four products, which need no #kind=; a name is made of kind and host, never of the secret."""
    for host, kind in (
        ("hooks.slack.com", "slack"),
        ("qyapi.weixin.qq.com", "wecom"),
        ("oapi.dingtalk.com", "dingtalk"),
        ("open.feishu.cn", "feishu"),
    ):
        chat = Chat.parse(f"https://{host}/hidden")
        assert (chat.kind, chat.name) == (kind, f"{kind}:{host}")
        assert "hidden" not in repr(chat)


def test_settings_print_no_webhook() -> None:
    """Printed settings show no secret."""
    settings = make_settings("redis://127.0.0.1:1", chat_webhook="https://hooks.slack.com/hidden")
    assert "hidden" not in repr(settings)


REPORT = {"input": {"object": "a.mp3"}}


def _event(kind: str, details: dict[str, Any], **more: Any) -> Event:
    fields: dict[str, Any] = {"job_id": "j/1", "report": REPORT} | more
    return Event(
        "e", kind=kind, state="Running", tag="T", version=1, at="", entry=1, details=details, **fields
    )


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (_event("overdue", {"deadline": "2026-01-01T00:00:00Z"}), ["j/1", "a.mp3", "overdue", "2026-01-01"]),
        (_event("overdue", {"deadline": "x"}, count=37), ["And 36 more like this."]),
        (
            _event(
                "submission_failed", {"error": "no", "labels": {"show": "news"}}, job_id="", submission="s1"
            ),
            ["submission s1", "a.mp3", "no", "[show=news]"],
        ),
        (_event("run_failed", {"endpoint": "shop", "error": "500"}), ["delivery to shop", "500"]),
        (
            _event("doubt", {"reason": "states_differ", "reported": {"state": "Failed"}}),
            ["states_differ", "Failed"],
        ),
        (_event("callback", {}), ["j/1", "Running"]),
    ],
)
def test_a_message_says_what_went_wrong(event: Event, words: list[str]) -> None:
    """The message names the job or submission, the trouble, and the number of events."""
    text = text_of_event(event, None, make_settings("redis://127.0.0.1:1"))
    assert all(word in text for word in words), text


def test_a_long_error_is_cut() -> None:
    """The message stays within WeCom's limit of 2048 bytes."""
    event = _event("run_failed", {"handler": "h", "error": "é" * 5000}, count=9)
    content = _content(event, None)
    assert len(content.encode()) <= 2048 and "And 8 more" in content


@pytest.mark.parametrize("length", range(1, 6))
def test_a_message_is_cut_by_bytes(services: Services, length: int) -> None:
    """With characters of four bytes too: none is cut in two, and the number of events and the link are whole."""
    name, (job_id, _) = "a" * length + "\U0001f3b5" * 1000, tell(services, job_id="j" * 40)
    event = _event("overdue", {}, count=9, job_id=job_id, report={"input": {"object": name}})
    content = _content(event, services.store.jobs.get(job_id))
    assert 2044 < len(content.encode()) <= 2048
    assert "\ufffd" not in content
    assert content.endswith(f" And 8 more like this.\nhttps://receiver.example.com/jobs/{quote(job_id)}")


def _content(event: Event, job: Job | None) -> str:
    """The text that WeCom gets."""
    chat = Chat.parse("https://qyapi.weixin.qq.com/x")
    _, body, _ = chat_message(chat, event, job, make_settings("redis://127.0.0.1:1"))
    return str(json.loads(body)["text"]["content"])


def test_an_answer_429_is_retried() -> None:
    """The next try comes after the time of Retry-After."""
    result = chat_result(EndpointAnswer(429, {"Retry-After": "30"}, "slow down"))
    assert result.error and result.trouble and result.again_in_s == 30


def test_a_message_links_to_the_job() -> None:
    """The link begins with PUBLIC_URL, and the id is encoded."""
    settings = make_settings("redis://127.0.0.1:1", public_url="https://ci.example.com/x")
    job = Job.model_validate(
        {
            "job_id": "j/1",
            "doubt": None,
            "submission": None,
            "verification": None,
            "source": None,
            "version": 1,
        }
        | {"updated_at": "", "outputs_count": 0, "outputs_unchecked": None, "raw": None, "labels": {"a": "b"}}
    )
    text = text_of_event(_event("overdue", {}), job, settings)
    assert text.endswith("[a=b]\nhttps://ci.example.com/x/jobs/j%2F1")
