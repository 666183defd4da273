"""The chats of ``CHAT_WEBHOOK``: a URL whose path or query is the secret, which product it belongs to, and a filter."""

from __future__ import annotations

from typing import Final, Literal, cast, get_args

from msgspec import Struct
from pydantic import SecretStr

from app.core.event_kinds import TROUBLES, subject_of
from app.settings.delivery_urls import DeliveryUrl, host_of

ChatKind = Literal["slack", "wecom", "dingtalk", "feishu"]
_HOSTS: Final[dict[str, ChatKind]] = {
    "hooks.slack.com": "slack",
    "qyapi.weixin.qq.com": "wecom",
    "oapi.dingtalk.com": "dingtalk",
    "open.feishu.cn": "feishu",
    "open.larksuite.com": "feishu",
}
_OPTIONS = ("kind", "on", "tag", "secret", "name")


class Chat(Struct, frozen=True):
    """One entry of ``CHAT_WEBHOOK``. Its runs are those of an endpoint called ``name``. ``secret`` signs each message,
    if the chat requires that (DingTalk, Feishu). An empty ``tags`` matches all."""

    name: str
    kind: ChatKind
    address: SecretStr
    secret: SecretStr | None = None
    on: frozenset[str] = TROUBLES
    tags: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Chat:
        """``URL`` or ``URL#kind=…&on=…&tag=…&secret=…&name=…``. Raises ValueError with a message for the operator."""
        found = DeliveryUrl.parse(text, _OPTIONS)
        kind = found.one("kind") or _HOSTS.get(found.host)
        if kind not in get_args(ChatKind):
            raise ValueError(f"{found.host}: add #kind=… to the URL, one of {', '.join(get_args(ChatKind))}")
        given = found.one("secret")
        return cls(
            found.named(f"{kind}:{found.host}"),
            cast(ChatKind, kind),
            SecretStr(found.url),
            SecretStr(given) if given is not None else None,
            found.all("on") or TROUBLES,
            found.all("tag"),
        )

    @property
    def host(self) -> str:
        return host_of(self.address.get_secret_value())

    def wants(self, kind: str, tag: str | None, _state: str | None, _bucket: str | None) -> bool:
        return subject_of(kind) in self.on and (not self.tags or tag in self.tags)
