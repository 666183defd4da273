"""Requests that no SDK would send, with a right signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import requests
from requests.adapters import HTTPAdapter

from .running import Account
from .test_signature import authorization


class _AsItIs(HTTPAdapter):
    """Sends the path of a URL as it stands; without it two leading slashes become one."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return "/" + str(request.url).split("/", 3)[3]


def send(
    account: Account,
    method: str,
    path: str,
    host: str = "{}.cos.ap-chongqing.myqcloud.com",
    body: bytes = b"new",
    headers: Mapping[str, str] | None = None,
) -> requests.Response:
    """The answer to a signed request, its path and query as they are, to the host of the account's bucket."""
    signed = authorization(method, unquote(path.partition("?")[0]))
    signed_headers = {"Host": host.format(account.bucket), "Authorization": signed}
    prepared = requests.Request(
        method, account.emulator.url, data=body, headers={**signed_headers, **(headers or {})}
    ).prepare()
    prepared.url = account.emulator.url + path
    with requests.Session() as session:
        session.mount("http://", _AsItIs())
        return session.send(prepared, timeout=10)
