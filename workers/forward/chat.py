"""Messages to a chat's incoming webhook, and the meaning of its answers.

| chat | body | where it is described |
| --- | --- | --- |
| Slack, and those that take its bodies | ``{"text": …}`` | https://api.slack.com/messaging/webhooks |
| WeCom | ``{"msgtype": "text", "text": {"content": …}}`` | https://developer.work.weixin.qq.com/document/path/91770 |
| DingTalk | the same; signed in the query | https://open.dingtalk.com/document/robots/custom-robot-access |
| Feishu | ``{"msg_type": "text", "content": …}``; signed in it | https://open.feishu.cn/document (custom bots) |
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from app.settings import Settings
from app.settings.chats import Chat
from app.store import Event, Job
from workers.forward.delivery_result import DeliveryResult, result_of
from workers.forward.http_post import EndpointAnswer

_TEXT_MAX: Final = 600
"""Characters of what happened: a message should be short."""
_MESSAGE_MAX: Final = 2048
"""Bytes of a whole message: WeCom refuses longer ones."""
_ERROR_MAX: Final = 300
_CODES: Final = ("errcode", "code", "StatusCode")
"""Members in which a chat that answers 200 reports an error: WeCom and DingTalk, Feishu, Feishu's older answers."""


def chat_message(
    chat: Chat, event: Event, job: Job | None, settings: Settings
) -> tuple[str, bytes, dict[str, str]]:
    """The URL, the body and the headers of one request."""
    url, body = (
        chat.address.get_secret_value(),
        _BODIES[chat.kind](_clean(chat, text_of_event(event, job, settings))),
    )
    if chat.secret and chat.kind == "dingtalk":
        stamp = str(int(time.time() * 1000))
        signed = {"timestamp": stamp, "sign": _sign(chat.secret.get_secret_value(), stamp, in_key=False)}
        url += ("&" if "?" in url else "?") + urlencode(signed)
    if chat.secret and chat.kind == "feishu":
        stamp = str(int(time.time()))
        body |= {"timestamp": stamp, "sign": _sign(chat.secret.get_secret_value(), stamp, in_key=True)}
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return url, json.dumps(body, ensure_ascii=False).encode(), headers


def chat_result(answer: EndpointAnswer) -> DeliveryResult:
    """A chat refuses with a code in its answer, whatever the status. Nothing of a redirect is stored: its Location
    contains the webhook's secret."""
    if not 200 <= answer.status < 300:
        headers = _retry_after(answer) | {"Location": "another address"}
        return result_of(EndpointAnswer(answer.status, headers, ""))
    refused = _refused(answer.text)
    return DeliveryResult(refused, trouble=refused is not None, status=answer.status)


def text_of_event(event: Event, job: Job | None, settings: Settings) -> str:
    """The message: one or two lines, of at most ``_MESSAGE_MAX`` bytes in UTF-8."""
    text = _TEXTS.get(event.kind, _news)(event, event.details or {})
    more = f" And {event.count - 1} more like this." if event.count > 1 else ""
    labels = job.labels if job else (event.details or {}).get("labels") or event.labels
    marked = "".join(f" [{name}={value}]" for name, value in labels.items())
    link = (
        f"\n{settings.public_url}/jobs/{quote(event.job_id, safe='')}" if settings.public_url and job else ""
    )
    what, end = f"CI: {text}{marked}"[:_TEXT_MAX], more + link
    return _cut(_cut(what, _MESSAGE_MAX - len(end.encode())) + end, _MESSAGE_MAX)


def _cut(text: str, most: int) -> str:
    """The beginning of a text that has at most that number of bytes in UTF-8, with whole characters only."""
    return text.encode()[: max(0, most)].decode(errors="ignore")


def _job(event: Event) -> str:
    name = (event.report.get("input") or {}).get("object")
    return f"job {event.job_id} ({event.tag or 'no tag'}{f', {name}' if name else ''})"


def _news(event: Event, _: Mapping[str, Any]) -> str:
    return f"{_job(event)} is {event.state or 'in no known state'}."


def _overdue(event: Event, details: Mapping[str, Any]) -> str:
    return f"{_job(event)} is overdue: it has not ended by {details.get('deadline')}. CI is being asked."


def _submission_failed(event: Event, details: Mapping[str, Any]) -> str:
    name = (event.report.get("input") or {}).get("object")
    what = f"{event.tag or 'no tag'}{f', {name}' if name else ''}"
    return f"submission {event.submission} ({what}) failed: {_short(details.get('error'))}"


def _run_failed(event: Event, details: Mapping[str, Any]) -> str:
    endpoint = details.get("endpoint")
    who = f"delivery to {endpoint}" if endpoint else f"handler {details.get('handler')}"
    return f"{who} is out of tries for {_job(event)}: {_short(details.get('error'))}"


def _doubt(event: Event, details: Mapping[str, Any]) -> str:
    reported = (details.get("reported") or {}).get("state")
    return f"{_job(event)} is in doubt ({details.get('reason')}): {reported} was reported, {event.state} is known."


_TEXTS: Final[Mapping[str, Callable[[Event, Mapping[str, Any]], str]]] = {
    "overdue": _overdue,
    "submission_failed": _submission_failed,
    "run_failed": _run_failed,
    "doubt": _doubt,
}


def _msgtype_text(text: str) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": text}}


_BODIES: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "slack": lambda text: {"text": text},
    "wecom": _msgtype_text,
    "dingtalk": _msgtype_text,
    "feishu": lambda text: {"msg_type": "text", "content": {"text": text}},
}


def _clean(chat: Chat, text: str) -> str:
    """Text of a callback must not notify a whole channel: Slack and Feishu read tags in angle brackets."""
    if chat.kind == "slack":
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("<", "\uff1c").replace(">", "\uff1e") if chat.kind == "feishu" else text


def _short(error: object) -> str:
    text = " ".join(str(error or "no reason was given").split())
    return text if len(text) <= _ERROR_MAX else f"{text[:_ERROR_MAX]}…"


def _sign(secret: str, stamp: str, *, in_key: bool) -> str:
    """DingTalk signs time and secret with the secret; Feishu signs nothing with time and secret."""
    both = f"{stamp}\n{secret}".encode()
    key, signed = (both, b"") if in_key else (secret.encode(), both)
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _refused(text: str) -> str | None:
    try:
        answer = json.loads(text)
    except ValueError:
        return None  # Slack answers `ok`.
    if not isinstance(answer, dict):
        return None
    code = next((answer[name] for name in _CODES if answer.get(name)), 0)
    message = answer.get("errmsg") or answer.get("msg") or answer.get("StatusMessage") or ""
    return f"refused with code {code}: {_short(message)}" if code else None


def _retry_after(answer: EndpointAnswer) -> dict[str, str]:
    value = answer.headers.get("Retry-After")
    return {"Retry-After": value} if value else {}
