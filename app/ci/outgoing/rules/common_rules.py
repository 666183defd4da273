"""The rules of every tag: buckets and keys, the form of operations, user data, labels."""

import re

from app.ci.outgoing import facts
from app.ci.outgoing.operation import View, views
from app.ci.outgoing.request import VOICE_SEPARATE, Defaults, SubmitRequest
from app.ci.outgoing.rules.broken import RuleFindings
from app.ci.outgoing.rules.text_rules import raw_rules

LABELS_MAX, LABEL_VALUE_MAX = 16, 128
"""Limits of ours: CI does not get labels, and each of them is an index."""
LABEL_NAME = re.compile(r"[a-z0-9_.-]{1,32}")
DEADLINE_MAX_S = 90 * 86400

_BUCKET = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\Z")
_BUCKET_APPID = re.compile(r".*-[0-9]+\Z")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]*[a-z0-9]\Z")


def input_rules(request: SubmitRequest, defaults: Defaults) -> RuleFindings:
    where = defaults.input(request)
    yield from _place("input", where.bucket, where.region)
    if not where.bucket:
        yield (
            "input.bucket",
            "missing",
            "is required: here, or as COS_BUCKET in the settings",
        )
    if not where.region:
        yield (
            "input.region",
            "missing",
            "is required: here, or as COS_REGION in the settings",
        )
    yield from _input_file(request)


def _input_file(request: SubmitRequest) -> RuleFindings:
    key, url, tags = request.input.object, request.input.url, {view.tag for view in views(request)}
    if not key and not url:
        yield from _no_input(tags)
    if url:
        yield "input.url", "input_url", "CI documents input.object only; a URL has been seen to work"
    if key:
        yield from _key("input.object", key)
        extension = key.rpartition("/")[2].rpartition(".")
        if extension[1] and VOICE_SEPARATE in tags and extension[2].lower() not in facts.INPUT_FORMATS:
            yield "input.object", "input_format", f"VoiceSeparate reads {', '.join(facts.INPUT_FORMATS)}"


def _no_input(tags: set[str]) -> RuleFindings:
    if VOICE_SEPARATE in tags:
        yield "input.object", "missing", "the key of the input file is required"
    elif any(tag.strip() and tag not in facts.NO_INPUT for tag in tags):
        exempt = " and ".join(facts.NO_INPUT)
        yield "input.object", "no_input", f"nearly every tag works on a file; {exempt} are known not to"


def _place(at: str, bucket: str | None, region: str | None) -> RuleFindings:
    """Both become part of a host name, so that nothing but a name may be in them."""
    if bucket and (not _BUCKET.match(bucket) or len(bucket) > 63):
        yield f"{at}.bucket", "bucket", "a bucket is letters, digits and hyphens, as BucketName-APPID"
    elif bucket and not _BUCKET_APPID.match(bucket):
        yield (
            f"{at}.bucket",
            "bucket_appid",
            "a bucket is named BucketName-APPID, as demo-1250000000",
        )
    if region and (not _REGION.match(region) or len(region) > 63):
        yield (
            f"{at}.region",
            "region_name",
            "is lower-case letters, digits and hyphens, as ap-chongqing",
        )
    elif region and region not in facts.REGIONS:
        yield f"{at}.region", "region", "is not a region that CI's pages list; let it through if it is new"


def _key(field: str, key: str) -> RuleFindings:
    if len(key.encode("utf-8", "surrogatepass")) > facts.KEY_MAX:
        yield field, "key_length", f"an object key has at most {facts.KEY_MAX} bytes in UTF-8"
    if key.startswith("/"):
        yield (
            field,
            "leading_slash",
            "an object key does not begin with a slash, which would be part of it",
        )


def shape_rules(request: SubmitRequest) -> RuleFindings:
    if request.operations is None:
        return
    if not 1 <= len(request.operations) <= facts.OPERATIONS_MAX:
        yield (
            "operations",
            "operations_count",
            f"CI takes 1 to {facts.OPERATIONS_MAX} in one request",
        )
    for name in ("template_id", "voice_separate", "output", "user_data", "job_level", "operation"):
        if getattr(request, name) is not None:
            yield name, "operations_exclusive", "stands inside an entry of operations, not beside the list"


def operation_rules(view: View) -> RuleFindings:
    for name in view.twice:
        yield view.path + name, "twice", "is also in the raw operation; give it only once"
    if "Tag" in view.raw and view.raw["Tag"] != view.tag:
        yield f"{view.path}operation.Tag", "twice", "contradicts tag; give it only once"
    if not view.tag.strip():
        yield f"{view.path}tag", "missing", "CI's name of the feature is required, as VoiceSeparate"
    elif view.tag != VOICE_SEPARATE:
        yield from _other_tag(view)
    yield from raw_rules(f"{view.path}operation", view.raw)
    data = view.user_data
    if data is not None and (len(data) > facts.USER_DATA_MAX or not re.fullmatch(r"[\x20-\x7e]*", data)):
        yield (
            view.field("user_data"),
            "user_data",
            f"is printable ASCII, at most {facts.USER_DATA_MAX}",
        )
    if view.job_level is not None and view.job_level not in facts.JOB_LEVELS:
        yield view.field("job_level"), "job_level", "is 0, 1 or 2"


def _other_tag(view: View) -> RuleFindings:
    if not (view.raw or view.template_id or view.output):
        yield from _no_operation(view)
    if view.voice_separate:
        yield view.field("voice_separate"), "voice_separate", "belongs to the tag VoiceSeparate only"


def _no_operation(view: View) -> RuleFindings:
    field = f"{view.path}operation"
    if view.tag in facts.NEEDS_OPERATION:
        yield field, "missing", f"an operation is required for the tag {view.tag}"
    elif view.tag not in facts.NO_OPERATION and view.user_data is None and view.job_level is None:
        exempt = " and ".join(facts.NO_OPERATION)
        yield field, "no_operation", f"nearly every tag has one; {exempt} are known to need none"


def output_rules(view: View, request: SubmitRequest, defaults: Defaults) -> RuleFindings:
    output, where = view.output, defaults.input(request)
    if output is None:
        return
    yield from ((view.field(f), w, r) for f, w, r in _place("output", output.bucket, output.region))
    for name in facts.OUTPUT_KEYS:
        key = getattr(output, name)
        if key:
            yield from _key(view.field(f"output.{name}"), key)
        if key and key == request.input.object and (output.bucket or where.bucket) == where.bucket:
            yield (
                view.field(f"output.{name}"),
                "output_is_input",
                "is the input's own key, and would overwrite it",
            )


def label_rules(request: SubmitRequest) -> RuleFindings:
    if len(request.labels) > LABELS_MAX:
        yield "labels", "length", f"at most {LABELS_MAX} labels"
    for name, value in request.labels.items():
        if not LABEL_NAME.fullmatch(name):
            rule = "a label's name is 1 to 32 of a-z, 0-9, _, . and -"
            yield f"labels.{name[:100]}", "label_name", rule
        if len(value) > LABEL_VALUE_MAX:
            yield (
                f"labels.{name[:100]}",
                "length",
                f"a label's value has at most {LABEL_VALUE_MAX} characters",
            )


def deadline_rules(request: SubmitRequest) -> RuleFindings:
    if request.deadline is not None and not 1 <= request.deadline <= DEADLINE_MAX_S:
        yield "deadline", "deadline", f"is 1 to {DEADLINE_MAX_S} seconds"
