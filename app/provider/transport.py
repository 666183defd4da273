"""The transport that the SDK uses in place of a session of Requests: urllib3's pools, on which Requests is built.

Requests' own layers take as long as the request itself, and it reads the certificates for each connection, which takes
26 ms. Of Requests we keep the proxies and the CA bundles of the environment, by its own functions. There are no
cookies, redirects or retries: each would be a call that we did not make.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partialmethod
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import certifi
import urllib3
from msgspec import Struct
from requests.utils import (
    check_header_validity,
    get_auth_from_url,
    get_environ_proxies,
    prepend_scheme_if_needed,
    select_proxy,
)
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import BaseHTTPResponse

_KEPT = 10
"""Idle connections kept to one host."""


class SignedRequest(Struct, frozen=True):
    """A request in the form in which the SDK's signer takes it; it adds the signature to the headers."""

    method: str
    url: str
    headers: dict[str, str]


class Got(Struct, frozen=True):
    """An answer under the names that the SDK reads. The first access to ``content`` reads the body."""

    status_code: int
    headers: Mapping[str, str]
    raw: BaseHTTPResponse

    @property
    def content(self) -> bytes:
        return self.raw.data


class Transport:
    """Sends for one process, and is shared by its threads. Raises urllib3's errors, and ``InvalidHeader``.

    ``fresh``: each request has a connection of its own, which never carried another one.
    ``trusts_environment``: a proxy that the environment names is used.
    """

    def __init__(self, *, fresh: bool, trusts_environment: bool) -> None:
        self._fresh = fresh
        self._trusts_environment = trusts_environment
        self._managers: dict[tuple[str, str | None], urllib3.PoolManager] = {}  # by scheme and proxy

    def send(
        self,
        method: str,
        url: str,
        *,
        auth: Any,
        headers: Mapping[str, str],
        params: Mapping[str, str],
        timeout: tuple[float, float],
        data: bytes | None = None,
        stream: bool = False,
        **_: Any,
    ) -> Got:
        """One request, signed by ``auth``. With ``stream`` the caller reads the body, and closes it. The SDK's other
        arguments are for what we do not use, or never do."""
        whole = f"{url}?{urlencode(params)}" if params else url
        signed = SignedRequest(method, whole, _DEFAULTS | dict(headers))
        if data is not None or method in ("POST", "PUT"):
            signed.headers["Content-Length"] = str(len(data or b""))
        auth(signed)
        for each in signed.headers.items():
            check_header_validity(each)
        scheme, _scheme_end, rest = whole.partition("://")
        host, slash, path = rest.partition("/")
        proxy = self._proxy(f"{scheme}://{host}")
        with self._pool(scheme, host, proxy) as pool:
            got = pool.urlopen(
                method,
                # A proxy that opens no tunnel must see the host.
                whole if proxy and scheme == "http" else slash + path,
                body=data,
                headers=signed.headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(*timeout),
                preload_content=not stream,
            )
        return Got(got.status, got.headers, got)

    delete = partialmethod(send, "DELETE")
    get = partialmethod(send, "GET")
    head = partialmethod(send, "HEAD")
    post = partialmethod(send, "POST")
    put = partialmethod(send, "PUT")

    def _proxy(self, origin: str) -> str | None:
        return select_proxy(origin, get_environ_proxies(origin)) if self._trusts_environment else None

    def _pool(self, scheme: str, host: str, proxy: str | None) -> AbstractContextManager[HTTPConnectionPool]:
        origin = f"{scheme}://{host}"
        if not self._fresh:
            manager = self._managers.get((scheme, proxy))
            if manager is None:
                manager = self._managers[scheme, proxy] = _manager(scheme, proxy, _KEPT)
            return nullcontext(manager.connection_from_url(origin))
        if proxy:
            return _manager(scheme, proxy, 1).connection_from_url(origin)
        return urllib3.connection_from_url(origin, maxsize=1, **_tls(scheme))


_DEFAULTS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate"}


def _manager(scheme: str, proxy: str | None, connections: int) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(maxsize=connections, **_tls(scheme))
    proxy = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
    name, password = get_auth_from_url(proxy)
    return urllib3.ProxyManager(
        proxy,
        maxsize=connections,
        proxy_headers=urllib3.make_headers(proxy_basic_auth=f"{name}:{password}") if name else None,
        proxy_ssl_context=tls_context() if proxy.startswith("https:") else None,
        **_tls(scheme),
    )


def _tls(scheme: str) -> dict[str, Any]:
    return {"ssl_context": tls_context()} if scheme == "https" else {}


@cache
def tls_context() -> ssl.SSLContext:
    """Made once, because reading the certificates takes longer than several requests. They are those that Requests
    trusts: the environment's bundle, else ``certifi``."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)
