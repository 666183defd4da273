"""One signed request through Tencent's SDK: its answer, or an error that says whether it was received.

The SDK signs and sends. What we do not use of it:

- its retries are off: it would send a failed submit four times, and a submit costs money;
- its errors are not used: asked with `cos_request=False` it hands over the plain response, which we read;
- its session, of Requests, is shared by all clients and through forks: ``transport`` takes its place.

Imported by the first call (``Provider``): the SDK and Requests cost a process 6 MiB and 0.1 s of processor.
"""

import io
import os
import re
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import qcloud_cos

from app.provider import sdk_logs
from app.provider.connection_errors import connection_error
from app.provider.errors import RequestRejected
from app.provider.transport import Transport
from app.provider.values import Place, ProviderConfig, Request, Response

sdk_logs.silence()  # its modules have loggers of their own, from now on
_SDK: Any = qcloud_cos  # carries no types
_CONNECT_SECONDS = 5.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BUFFER = 2**16
_OFFLINE = object()  # in the place of a session, for a client that only signs
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]\Z")
"""The regions that Tencent's SDK accepts; for a single character it raises an exception of its own."""


class Wire:
    """Signs and sends for one account."""

    def __init__(self, config: ProviderConfig) -> None:
        self._config = config
        self._kept: tuple[int, Transport] | None = None  # process id, and what this process sends with

    def send(self, place: Place, request: Request) -> Response:
        """Sends once. Any HTTP status is a Response; without one, NotSent or AnswerLost is raised."""
        endpoint = f"{request.service}.{_checked(place).region}.myqcloud.com"
        client = self._client(place.region, self._transport(request.fresh))
        conf = client.get_conf()
        url = conf.uri(bucket=place.bucket, path=request.path, endpoint=endpoint)
        auth = _SDK.CosS3Auth(conf, request.path, params=dict(request.params))
        failure: BaseException
        try:
            got = client.send_request(
                request.method,
                url,
                cos_request=False,
                ci_request=request.service == "ci",
                auth=auth,
                headers=_headers(request, f"{place.bucket}.{endpoint}"),
                params=request.params,
                **({} if request.body is None else {"data": request.body}),
            )
            return Response(got.status_code, got.headers, got.content)
        except _SDK.CosClientError as error:
            failure = error.__context__ or error
        # Raised outside the except block: the SDK's exception quotes the URL, and must not be its context.
        raise connection_error(failure, question=request.method in ("GET", "HEAD"))

    def stream(self, place: Place, path: str) -> BinaryIO | Response:
        """The body of an object as a stream, which the caller closes; if the status is not 200, the whole answer."""
        endpoint = f"cos.{_checked(place).region}.myqcloud.com"
        client = self._client(place.region, self._transport(fresh=False))
        conf = client.get_conf()
        failure: BaseException
        try:
            got = client.send_request(
                "GET",
                conf.uri(bucket=place.bucket, path=path, endpoint=endpoint),
                cos_request=False,
                auth=_SDK.CosS3Auth(conf, path, params={}),
                # The object's own bytes, whatever a proxy would make of them.
                headers={"Host": f"{place.bucket}.{endpoint}", "Accept-Encoding": "identity"},
                params={},
                stream=True,
            )
            if got.status_code == 200:
                # Otherwise urllib3 closes it after its last byte, and the reader's next read fails.
                got.raw.auto_close = False
                return io.BufferedReader(got.raw, _BUFFER)
            return Response(got.status_code, got.headers, got.content)
        except _SDK.CosClientError as error:
            failure = error.__context__ or error
        raise connection_error(failure, question=True)

    def presigned(self, place: Place, key: str, seconds: int) -> str:
        """A URL to GET an object. With temporary credentials it carries their token, and signs it."""
        params = {"x-cos-security-token": self._config.token} if self._config.token else {}
        # A fixed address is not the host of the signature, so the host is not signed.
        sign_host = None if self._config.endpoint is None else False
        client = self._client(_checked(place).region, _OFFLINE)
        url: str = client.get_presigned_url(
            place.bucket, f"/{key}", "GET", Expired=seconds, Params=params, SignHost=sign_host
        )
        return url

    def _client(self, region: str, session: object) -> Any:
        """Tencent's client for one region; making one is cheap."""
        parts = urlsplit(self._config.endpoint or "https://")
        host = parts.hostname
        conf = _SDK.CosConfig(
            Region=region,
            SecretId=self._config.secret_id,
            SecretKey=self._config.secret_key,
            Token=self._config.token,
            Scheme=parts.scheme,
            IP=f"[{host}]" if host and ":" in host else host,
            Port=parts.port,
            Timeout=(min(_CONNECT_SECONDS, self._config.timeout), self._config.timeout),
            AutoSwitchDomainOnRetry=False,
        )
        return _SDK.CosS3Client(conf, retry=0, session=session)

    def _transport(self, fresh: bool) -> Transport:
        """The transport of this process: after a fork a new one, since sockets must not be shared.

        Two threads may each make one at first, and one is dropped: cheaper than a lock, which a fork may copy held.
        """
        # A proxy of the environment is for hosts elsewhere, not for a server on this machine.
        leaves = (urlsplit(self._config.endpoint or "").hostname or "") not in _LOOPBACK
        if fresh:
            return Transport(fresh=True, trusts_environment=leaves)
        kept = self._kept
        if kept is None or kept[0] != os.getpid():
            kept = self._kept = (os.getpid(), Transport(fresh=False, trusts_environment=leaves))
        return kept[1]


def _headers(request: Request, host: str) -> dict[str, str]:
    """Ours beside what the SDK adds (it changes the dict that it is given).

    Host is named here, since for a fixed address the SDK, given the bucket, names COS's host for CI's calls too.
    """
    headers = {"Host": host}
    if request.body is not None:
        headers["Content-Type"] = "application/xml"
    if request.method == "HEAD":
        headers["Accept-Encoding"] = "identity"  # so that Content-Length is the object's size
    return headers


def _checked(place: Place) -> Place:
    """Both become part of a host name, and may come from a stranger's callback: a dot or slash would lead our
    signed request elsewhere. Raises RequestRejected."""
    if not (_NAME.match(place.bucket) and _REGION.match(place.region)):
        raise RequestRejected("InvalidName", "a bucket and a region are letters, digits and hyphens")
    return place
