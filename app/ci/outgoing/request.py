"""The body of `POST /v1/jobs`, as frozen values.

Every field is CI's own name in snake_case. The types only check the form (text, number, object); what CI allows is in
`rules`, so that a broken rule is reported as a sentence and not by a parser. `request_xml` makes CI's XML of a request,
`asked` makes what a submission stores of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from app.ci.outgoing import described, facts
from app.ci.outgoing.rules.broken import MAY_PASS, BadRequest, BrokenRule

VOICE_SEPARATE = "VoiceSeparate"

DEPTH_MAX = 32
"""Levels that a raw operation may nest; CI's own have about six."""


def _as_text(value: object) -> object:
    """CI's scalars are strings in XML; callers may write numbers. A bool is neither, and is refused later."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value


def _callback(value: str | None) -> str | None:
    """`no`, in any case, means no callback; CI accepts it in lower case only."""
    return "no" if value is not None and value.strip().lower() == "no" else value


def _shallow(value: object) -> object:
    """Refuse what is nested too deep. It walks level by level: hostile input would exhaust the stack of a recursion."""
    layer = [value]
    for _ in range(DEPTH_MAX):
        layer = [inner for one in layer for inner in _children(one)]
        if not layer:
            return value
    raise ValueError(f"is nested more than {DEPTH_MAX} deep")


def _children(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


Scalar = Annotated[str, BeforeValidator(_as_text), WithJsonSchema(described.scalar_schema())]
"""Text that may also be written as a number: `"44100"` and `44100` are the same request."""
GivenText = Annotated[str, WithJsonSchema(described.text_schema())]
GivenKey = Annotated[str, WithJsonSchema(described.text_schema(facts.KEY_MAX))]
GivenBucket = Annotated[str, WithJsonSchema(described.text_schema(63, described.BUCKET_PATTERN))]
GivenRegion = Annotated[str, WithJsonSchema(described.text_schema(63, described.REGION_PATTERN))]
GivenId = Annotated[str, WithJsonSchema(described.text_schema(128))]
GivenUserData = Annotated[
    str,
    BeforeValidator(_as_text),
    WithJsonSchema(described.scalar_schema(facts.USER_DATA_MAX, r"^[\x20-\x7e]*$")),
]
GivenJobLevel = Annotated[
    str, BeforeValidator(_as_text), WithJsonSchema(described.one_of(facts.JOB_LEVELS, empty=False))
]
GivenMqMode = Annotated[str, WithJsonSchema({"enum": [*facts.MQ_MODES, ""]})]
GivenCallback = Annotated[str, WithJsonSchema(described.text_schema(2048, described.CALLBACK_PATTERN))]
GivenCallbackFormat = Annotated[str, WithJsonSchema(described.any_case(facts.CALLBACK_FORMATS))]
GivenCallbackType = Annotated[str, WithJsonSchema(described.any_case(facts.CALLBACK_TYPES))]
RawOperation = Annotated[dict[str, Any], WithJsonSchema(described.raw_node())]
GivenLabels = Annotated[dict[str, Scalar], WithJsonSchema(described.labels_schema())]
RuleWord = Annotated[str, WithJsonSchema({"enum": sorted(MAY_PASS)})]


class Part(BaseModel):
    # Most processes and commands never read a request: its models are built for the first one.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class RequestInput(Part):
    """The file to work on."""

    bucket: GivenBucket | None = Field(
        None, description="Bucket of the recording, BucketName-APPID. Default: COS_BUCKET."
    )
    region: GivenRegion | None = Field(None, description="Its region, as ap-chongqing. Default: COS_REGION.")
    object: GivenKey | None = Field(
        None,
        description="Key of the file to work on, without a leading slash. VoiceSeparate takes MP4 AVI MOV FLAC WAV "
        "AMR MP3 AAC.",
    )
    url: GivenText | None = Field(
        None, description="A URL instead of a key: seen in use, not documented by CI."
    )


class AudioConfig(Part):
    """How the results are encoded."""

    codec: GivenText | None = Field(
        None, description="aac, mp3, flac or amr; in MusicMode mp3, wav or aac. CI's default: aac."
    )
    samplerate: Scalar | None = Field(
        None,
        description="Hz: 8000 11025 22050 32000 44100 48000 96000; aac and flac not 8000, mp3 not 8000 or 96000, "
        "amr only 8000. CI's default: 44100. Ignored in MusicMode.",
    )
    bitrate: Scalar | None = Field(
        None, description="Kbps, 8 to 1000. CI's default: the source's. Ignored in MusicMode."
    )
    channels: Scalar | None = Field(
        None,
        description="aac and flac 1 2 4 5 6 8; mp3 1 2; amr 1. CI's default: the source's. Ignored in MusicMode.",
    )


class VoiceSeparate(Part):
    """Parameters of VoiceSeparate."""

    audio_mode: GivenText | None = Field(
        None,
        description="IsAudio (vocals), IsBackground, AudioAndBackground, or MusicMode (vocals, background, bass, "
        "drums).",
    )
    audio_config: AudioConfig | None = None


class RequestOutput(Part):
    """Where the results go; at least one key is needed. `${ext}` and `${jobid}` are filled in by CI."""

    region: GivenRegion | None = Field(None, description="Region of the outputs. Default: the input's.")
    bucket: GivenBucket | None = Field(None, description="Bucket of the outputs. Default: the input's.")
    object: GivenKey | None = Field(
        None,
        description="Key for the background. In every key CI fills in ${ext} and ${jobid}. At least one key is needed.",
    )
    au_object: GivenKey | None = Field(None, description="Key for the vocals.")
    bass_object: GivenKey | None = Field(None, description="Key for the bass (MusicMode).")
    drum_object: GivenKey | None = Field(None, description="Key for the drums (MusicMode).")


class MqConfig(Part):
    """The queue of TDMQ that gets the news."""

    mq_region: GivenText | None = Field(None, description="For TDMQ: sh, bj, gz, cd or hk.")
    mq_mode: GivenMqMode | None = Field(None, description="For TDMQ: Topic or Queue (CI's default).")
    mq_name: GivenText | None = Field(None, description="For TDMQ: name of the topic or queue.")


class Operation(Part):
    """One thing to do to the input. VoiceSeparate has typed fields; any other tag is a raw `operation`."""

    tag: GivenId | None = Field(None, description="CI's name of the feature.")
    template_id: GivenId | None = Field(
        None, description="A template instead of the parameters; CI ignores them if both are given."
    )
    voice_separate: VoiceSeparate | None = None
    output: RequestOutput | None = None
    user_data: GivenUserData | None = Field(
        None, description="Text that CI returns in the callback: printable ASCII, at most 1024."
    )
    job_level: GivenJobLevel | None = Field(None, description="0 (CI's default), 1 or 2: higher goes first.")
    operation: Annotated[RawOperation | None, BeforeValidator(_shallow)] = Field(
        None, description="CI's Operation node as JSON, with CI's own names; a list repeats its node."
    )


def _raw_or_typed(value: object) -> object:
    """An entry of `operations` may be CI's Operation node itself: recognized by its capitalised names."""
    if isinstance(value, Mapping) and value and all(isinstance(k, str) and k[:1].isupper() for k in value):
        return {"tag": value.get("Tag"), "operation": {k: v for k, v in value.items() if k != "Tag"}}
    return value


class SubmitRequest(Operation):
    """The whole request: one operation written flat, or several under `operations`."""

    model_config = ConfigDict(json_schema_extra=described.describe_request)

    tag: GivenId = Field(VOICE_SEPARATE, description="CI's name of the feature.")
    input: RequestInput = RequestInput()
    operations: tuple[Annotated[Operation, BeforeValidator(_raw_or_typed)], ...] | None = Field(
        None, description="Up to six operations on the same input; each becomes a job of its own."
    )
    queue_id: GivenId | None = Field(
        None,
        description="Queue of CI, see `flask queues list`. Default: the one that CI made for the feature.",
    )
    callback: Annotated[GivenCallback | None, AfterValidator(_callback)] = Field(
        None,
        description="`no`, or an http(s) URL of yours that is not private. Default: ours, for this submission alone.",
    )
    callback_format: GivenCallbackFormat | None = Field(
        None, description="JSON or XML. Default: CALLBACK_FORMAT."
    )
    callback_type: GivenCallbackType | None = Field(
        None, description="Url (CI's default) or TDMQ, which needs callback_mq_config."
    )
    callback_mq_config: MqConfig | None = Field(None, description="Needed when callback_type is TDMQ.")
    labels: GivenLabels = Field(
        default_factory=dict,
        description="Your own; CI does not get them. At most 16: names of a-z 0-9 _ . -, values to 128 characters.",
    )
    deadline: float | None = Field(
        None,
        allow_inf_nan=False,
        json_schema_extra={
            "anyOf": [{"type": "number", "minimum": 1, "maximum": 90 * 86400}, {"type": "null"}]
        },
        description="Seconds without news after which this job is overdue and CI is asked. Default: DEADLINE.",
    )
    allow: tuple[RuleWord, ...] = Field(
        (),
        description="Words of rules to let through, as errors and warnings name them: what CI has added since, and "
        "what you know to be right.",
    )

    def each(self) -> Iterator[tuple[str, Operation]]:
        """Every operation with its path in the request: `""` for the flat one, else `operations.<n>.`."""
        if self.operations is None:
            yield "", self
            return
        for index, operation in enumerate(self.operations):
            yield f"operations.{index}.", operation

    def tag_of(self, operation: Operation) -> str:
        """The operation's tag, else the request's. A blank tag stays blank, and the rules report it."""
        return self.tag if operation.tag is None else operation.tag

    @property
    def callback_kind(self) -> Literal["own", "no", "foreign", "queue"]:
        """Where CI sends the callback; for all but `own` we have to ask CI."""
        # `allow` lets through Kafka, and whatever CI adds: then CI would not call a URL of ours.
        if (self.callback_type or "Url").lower() != "url":
            return "queue"
        if not self.callback:
            return "own"
        return "no" if self.callback == "no" else "foreign"


class Defaults(Struct, frozen=True):
    """The values of the settings that a request may leave out."""

    bucket: str | None = None
    region: str | None = None
    callback_format: Literal["JSON", "XML"] = "JSON"

    def input(self, request: SubmitRequest) -> "Defaults":
        """The bucket and region that this request goes to."""
        bucket, region = request.input.bucket or self.bucket, request.input.region or self.region
        return Defaults(bucket, region, self.callback_format)


_WORDS = {
    "extra_forbidden": ("unknown_field", "is not a field of this request"),
    "missing": ("missing", "is required"),
}


def request_errors(error: ValidationError) -> list[BrokenRule]:
    """Errors of type, in the form of broken rules. They never quote the input."""
    return [_type_error(".".join(map(str, e["loc"])), e["type"], e["msg"]) for e in error.errors()]


def _type_error(field: str, kind: str, message: str) -> BrokenRule:
    message = message.removeprefix("Value error, ")
    word, rule = _WORDS.get(kind, ("type", message[:1].lower() + message[1:]))
    if not field:
        rule = "the request must be a JSON object"
    return BrokenRule(field=field, rule=rule, word=word)


def load_request(data: object) -> SubmitRequest:
    """The request in `data` (parsed JSON). Raises `BadRequest` with every error of type.

    CI's rules are not checked here: see `rules.check`, or `rules.examine` for both at once.
    """
    try:
        return SubmitRequest.model_validate(data)
    except ValidationError as error:
        raise BadRequest(request_errors(error)) from None
