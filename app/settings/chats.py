"""The chats of ``CHAT_WEBHOOK``: a URL whose path or query is the secret, which product it belongs to, and a filter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from pydantic import SecretStr

from app.core.event_kinds import TROUBLES, subject_of, unknown_subjects

ChatKind = Literal["slack", "wecom", "dingtalk", "feishu"]
_HOSTS: Final[dict[str, ChatKind]] = {
    "hooks.slack.com": "slack",
    "qyapi.weixin.qq.com": "wecom",
    "oapi.dingtalk.com": "dingtalk",
    "open.feishu.cn": "feishu",
    "open.larksuite.com": "feishu",
}
_OPTIONS = ("kind", "on", "tag", "secret", "name")


@dataclass(frozen=True, slots=True)
class Chat:
    """One of ``CHAT_WEBHOOK``. Its runs are those of an endpoint called ``name``. ``secret`` signs what is posted,
    where the chat demands that (DingTalk, Feishu). An empty ``tags`` matches all."""

    name: str
    kind: ChatKind
    address: SecretStr
    secret: SecretStr | None = None
    on: frozenset[str] = TROUBLES
    tags: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Chat:
        """``URL`` or ``URL#kind=…&on=…&tag=…&secret=…&name=…``. Raises ValueError with a message for the operator;
        it repeats nothing of the URL but its host."""
        if not text.isascii() or any(c.isspace() for c in text):
            raise ValueError("a chat's webhook holds more than ASCII, or a space; encode it")
        parts = urlsplit(text)
        host = parts.hostname
        if parts.scheme not in {"http", "https"} or not host:
            raise ValueError("a chat's webhook is no http:// or https:// URL")
        try:
            pairs = parse_qsl(parts.fragment, strict_parsing=bool(parts.fragment))
        except ValueError:
            raise ValueError(f"{host}: after # there are name=value pairs, joined by &") from None
        given = dict(pairs)
        if unknown := set(given) - set(_OPTIONS):
            raise ValueError(f"{host}: after # there may be {', '.join(_OPTIONS)}; not {unknown.pop()!r}")
        kind = given.get("kind") or _HOSTS.get(host)
        if kind not in get_args(ChatKind):
            raise ValueError(f"{host}: add #kind=… to the URL, one of {', '.join(get_args(ChatKind))}")
        on = frozenset(value for name, value in pairs if name == "on")
        if faults := unknown_subjects(on):
            raise ValueError(f"{host}: on is {'; '.join(faults)}")
        name = given.get("name") or f"{kind}:{host}"
        if "|" in name or not name.isascii() or not name.isprintable() or " " in name:
            raise ValueError(f"{host}: a name is printable ASCII without space or |")
        secret = SecretStr(given["secret"]) if "secret" in given else None
        tags = frozenset(value for name, value in pairs if name == "tag")
        address = SecretStr(urlunsplit((parts.scheme, parts.netloc, parts.path or "/", parts.query, "")))
        return cls(name, cast(ChatKind, kind), address, secret, on or TROUBLES, tags)

    @property
    def host(self) -> str:
        """The label in metrics."""
        return urlsplit(self.address.get_secret_value()).hostname or ""

    def wants(self, kind: str, tag: str | None, _state: str | None, _bucket: str | None) -> bool:
        return subject_of(kind) in self.on and (not self.tags or tag in self.tags)


def distinct_chats(chats: Iterable[Chat]) -> tuple[Chat, ...]:
    """The chats; ValueError if two have one name, because they would share their messages."""
    by_name: dict[str, Chat] = {}
    for each in chats:
        if each.name in by_name:
            raise ValueError(f"two chats are called {each.name!r}; give each a name with #name=…")
        by_name[each.name] = each
    return tuple(by_name.values())
