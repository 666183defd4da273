"""CI's and COS's error answers: their codes, statuses and XML."""

from __future__ import annotations

from emulator.http.tree import Tree, to_xml

# HTTP status by code. CI: the media processing error table; COS: its own error table.
STATUS = {
    "InvalidArgument": 400,
    "MissingContent": 400,
    "InvalidContent": 400,
    "InvalidHost": 400,
    "ResourceNotFound": 400,
    "ResourceAccessDenied": 400,
    "ResourceDownloadFailed": 400,
    "CIRoleNotExist": 400,
    "ResourceNotSupported": 400,
    "QueueNotFound": 400,
    "TemplateNotFound": 400,
    "TemplateNameDuplicate": 400,
    "MediaBucketUnBinded": 400,
    "MissingAuthorization": 401,
    "InvalidAuthorization": 401,
    "SecretidNotExist": 401,
    "SignatureExpired": 401,
    "AccessDenied": 403,
    "QueueSaturated": 403,
    "QueuePaused": 403,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "InvalidUrl": 404,
    "NoSuchKey": 404,
    "MissingContentLength": 411,
    "PreconditionFailed": 412,
    "EntityTooLarge": 413,
    "InvalidRange": 416,
    "SlowDown": 429,
    "UnavailableForLegalReasons": 451,
    "InternalError": 500,
    "NotImplemented": 501,
    "ServiceUnavailable": 503,
}


class EmulatorError(Exception):
    """A refusal with CI's or COS's code. `status` defaults to the documented one for `code`."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUS.get(code, 400)


def error_xml(error: EmulatorError, resource: str | None, request_id: str, trace_id: str) -> bytes:
    """The error document. `resource` is None for CI's media edition, which has no such node."""
    body: Tree = {"Code": error.code, "Message": error.message}
    if resource is not None:
        body["Resource"] = resource
    body |= {"RequestId": request_id, "TraceId": trace_id}
    return to_xml("Error", body, declaration=True)
