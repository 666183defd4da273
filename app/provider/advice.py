"""What to do about the errors that CI and COS give most, in a sentence each."""

_UNBOUND = "Bind the bucket to Cloud Infinite first: CI console, media processing, bind bucket"
_KEYS = "Check COS_SECRET_ID and COS_SECRET_KEY; temporary keys also need COS_TOKEN"
_LATER = "Nothing is wrong with the request; try again later"

ADVICE = {
    "MediaBucketUnBinded": _UNBOUND,
    "BucketNotBind": _UNBOUND,
    "NoSuchBucket": "Check COS_BUCKET and COS_REGION: a bucket is named BucketName-APPID and lives in one region",
    "InvalidHost": "Check COS_BUCKET and COS_REGION: a bucket is named BucketName-APPID and lives in one region",
    "PermanentRedirect": "The bucket lives in another region: check COS_REGION",
    "TemporaryRedirect": "The bucket lives in another region: check COS_REGION",
    "CIRoleNotExist": "CI needs its service role CI_QCSRole in this account: grant it once in the CI console",
    "MissingAuthorization": _KEYS,
    "InvalidAuthorization": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "InvalidAccessKeyId": _KEYS,
    "SecretidNotExist": "COS_SECRET_ID is not known to Tencent: it was mistyped, or the key was deleted",
    "SignatureExpired": "Check this machine's clock; temporary keys may have run out: renew COS_TOKEN",
    "RequestTimeTooSkewed": "Check this machine's clock",
    "ExpiredToken": "The temporary keys have run out: renew COS_SECRET_ID, COS_SECRET_KEY and COS_TOKEN",
    "InvalidToken": "COS_TOKEN does not belong to these keys, or has run out: renew all three together",
    "AccessDenied": "The account needs ci:CreateMediaJobs and cam:PassRole on this bucket, and COS read and write",
    "WriteTargetBucketDenied": "CI may not write to the output bucket: check its name, region and policy",
    "ResourceNotFound": "CI cannot find what the request names: check input.object and the template id",
    "ResourceAccessDenied": "CI may not read the input: check its role CI_QCSRole and the object's protection",
    "ResourceDownloadFailed": "CI cannot read the input: check the object, and switch off hotlink protection",
    "ResourceNotSupported": "CI cannot work on this file: check the format of the input",
    "TemplateNotFound": "Check template_id: templates belong to one bucket and region",
    "QueueNotFound": "Check queue_id with `flask queues list`, or leave it out",
    "QueueSaturated": "The queue is full: wait for jobs to end, or use another queue_id; submit again later",
    "QueuePaused": "The queue is paused: make it active in the CI console, or use another queue_id",
    "SlowDown": "Too many requests: send fewer at a time; the same request may be sent again",
    "UnavailableForLegalReasons": "The account or the file is blocked: ask Tencent's support with the request id",
    "InternalError": _LATER,
    "ServiceUnavailable": _LATER,
    "ConnectionRefused": "Nothing answers there: check CI_ENDPOINT and the network; `flask doctor` looks closer",
    "NameNotResolved": "The host is not in DNS: check COS_REGION, CI_ENDPOINT and the network",
    "ConnectTimeout": "The host cannot be reached: check the network, a proxy or a firewall",
    "CertificateInvalid": "The server's certificate is not trusted: check the clock, a proxy, or the CA bundle",
    "AnswerTimeout": "What was sent may have been received: look for it before it is sent again",
    "ConnectionBroken": "What was sent may have been received: look for it before it is sent again",
    "AnswerUnreadable": "What was sent may have been received: look for it before it is sent again",
}

NUMBERS = {
    "1007": "InternalError",
    "1012": "MissingAuthorization",
    "1013": "InvalidAuthorization",
    "1014": "SignatureExpired",
    "1017": "InvalidHost",
    "1018": "AccessDenied",
    "1019": "SecretidNotExist",
    "1020": "SlowDown",
    "1103": "ResourceNotFound",
    "1106": "QueueNotFound",
    "1107": "TemplateNotFound",
    "1111": "MediaBucketUnBinded",
    "1124": "WriteTargetBucketDenied",
}
"""An older page of CI lists its errors by number: the code for each number."""


_ASKED = {
    "AnswerTimeout": "A question changes nothing at CI: ask again",
    "ConnectionBroken": "A question changes nothing at CI: ask again",
    "AnswerUnreadable": "A question changes nothing at CI: ask again; if it stays so, give the request id to "
    "Tencent's support",
}
"""The advice for a question, where it differs from that for a change."""


def advice_for(code: str, question: bool = False) -> str:
    """What to do about a code; empty if we cannot add to CI's own message."""
    if question and code in _ASKED:
        return _ASKED[code]
    return ADVICE.get(NUMBERS.get(code, code), "")
