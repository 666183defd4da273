"""The rules of a request as JSON Schema, for the API's document: the errors of `rules` that a schema can express.
Warnings, and what `allow` lets through, are described in words at the fields.
"""

from collections.abc import Iterable
from typing import Any, Final

from app.ci.outgoing import facts

JsonSchema = dict[str, Any]

XML_PATTERN: Final = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]*$"
"""The characters that XML can hold."""
BUCKET_PATTERN: Final = r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?-[0-9]+)?$"
REGION_PATTERN: Final = r"^([a-z0-9][a-z0-9-]*[a-z0-9])?$"
CALLBACK_PATTERN: Final = (
    r"^([nN][oO]|https?://([A-Za-z0-9_-]+\.)+[A-Za-z][A-Za-z0-9-]*(:[0-9]{1,4})?(/[\x21-\x5b\x5d-\x7e]*)?)?$"
)
_NODE: Final = r"^[A-Za-z_][A-Za-z0-9_.-]{0,127}$"
_TYPED: Final = ["Tag", "TemplateId", "VoiceSeparate", "Output", "UserData", "JobLevel"]
_NO_TEXT: Final[JsonSchema] = {"enum": [None, ""]}
_ONE: Final[JsonSchema] = {"type": "string", "minLength": 1}
_NULL: Final[JsonSchema] = {"type": "null"}


def text_schema(most: int | None = None, pattern: str = XML_PATTERN) -> JsonSchema:
    return {"type": "string", "pattern": pattern} | ({"maxLength": most} if most else {})


def any_case(words: Iterable[str]) -> JsonSchema:
    """One of these words in any case, or an empty string."""
    letters = ("".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in word) for word in words)
    return text_schema(pattern=f"^({'|'.join(letters)})?$")


def scalar_schema(most: int | None = None, pattern: str = XML_PATTERN) -> JsonSchema:
    """A string, which may be written as a whole number."""
    return {"anyOf": [text_schema(most, pattern), {"type": "integer"}]}


def labels_schema() -> JsonSchema:
    names = {"pattern": "^[a-z0-9_.-]{1,32}$"}
    return {
        "type": "object",
        "maxProperties": 16,
        "propertyNames": names,
        "additionalProperties": scalar_schema(128),
    }


def one_of(numbers: Iterable[str], *, empty: bool = True) -> JsonSchema:
    known = tuple(numbers)
    texts = [*known, *([""] if empty else [])]
    found: list[JsonSchema] = [
        {"type": "string", "enum": texts},
        {"type": "integer", "enum": [*map(int, known)]},
    ]
    return {"anyOf": [*found, *([_NULL] if empty else [])]}


def raw_node() -> JsonSchema:
    """CI's Operation with its own names: text, named children, or a list of them, which repeats the node."""
    leaf: JsonSchema = {"anyOf": [text_schema(), {"type": "integer"}]}
    inner: JsonSchema = {"type": "object", "propertyNames": {"pattern": _NODE}, "additionalProperties": leaf}
    child: JsonSchema = {"anyOf": [*leaf["anyOf"], inner, {"type": "array", "items": leaf}]}
    names = {"allOf": [{"pattern": _NODE}, {"not": {"enum": _TYPED}}]}
    return {"type": "object", "propertyNames": names, "additionalProperties": child}


def describe_request(schema: JsonSchema) -> None:
    """Which of its fields go together."""
    tag: JsonSchema = {"properties": {"tag": {"const": "VoiceSeparate"}}}
    file = {
        "required": ["input"],
        "properties": {"input": {"required": ["object"], "properties": {"object": _ONE}}},
    }
    flat = {"properties": {"operations": _NULL}}
    entries = {"required": ["operations"], "properties": dict.fromkeys(_OF_ENTRY, _NULL)}
    queue = {
        "if": {
            "required": ["callback_type"],
            "properties": {"callback_type": {"type": "string", "pattern": "^[tT][dD][mM][qQ]$"}},
        },
        "then": {"required": ["callback_mq_config"], "properties": {"callback_mq_config": _QUEUE}},
    }
    kinds: list[JsonSchema] = [
        *({"title": title, "allOf": [each, tag, file, flat]} for title, each in _VOICE.items()),
        {"title": "Another tag", "allOf": [_RAW, flat]},
        {"title": "Several operations", "allOf": [entries, _each([*_OWN, _RAW]), tag, file]},
        {"title": "Several operations of other tags", "allOf": [entries, _each([_RAW]), tag]},
    ]
    schema |= rule_of_fields({"anyOf": kinds, "allOf": [queue]})


def rule_of_fields(rule: JsonSchema) -> JsonSchema:
    """A rule about several fields, in a form that generators of clients ignore: their model is the list of fields."""
    return {"if": True, "then": rule}


def _each(kinds: list[JsonSchema]) -> JsonSchema:
    items = {"anyOf": kinds}
    most = facts.OPERATIONS_MAX
    return {"properties": {"operations": {"type": "array", "minItems": 1, "maxItems": most, "items": items}}}


def _config(codec: str) -> JsonSchema:
    rates, channels = facts.CODECS[codec]
    is_default = codec == facts.DEFAULT_CODEC
    word = any_case([codec])
    own: JsonSchema = {"anyOf": [word, _NULL]} if is_default else word | {"minLength": 1}
    bitrate = {
        "anyOf": [
            {"type": "string", "pattern": "^([89]|[1-9][0-9]{1,2}|1000)?$"},
            {"type": "integer", "minimum": facts.BITRATE[0], "maximum": facts.BITRATE[-1]},
            _NULL,
        ]
    }
    properties = {"codec": own, "samplerate": one_of(rates), "channels": one_of(channels), "bitrate": bitrate}
    return {"type": "object", "properties": properties, "required": [] if is_default else ["codec"]}


def _parameters() -> JsonSchema:
    """`voice_separate`: the mode, and the rates and channels of each codec."""
    modes = [mode for mode in facts.MODES if mode != facts.MUSIC_MODE]
    music = {"anyOf": [any_case(facts.MUSIC_CODECS), _NULL]}
    kinds: list[tuple[JsonSchema, JsonSchema]] = [
        ({"const": facts.MUSIC_MODE}, {"type": "object", "properties": {"codec": music}})
    ]
    kinds += [({"enum": modes}, _config(codec)) for codec in facts.CODECS]
    return {
        "type": "object",
        "required": ["audio_mode", "audio_config"],
        "anyOf": [{"properties": {"audio_mode": mode, "audio_config": config}} for mode, config in kinds],
    }


_OF_ENTRY: Final = ("template_id", "voice_separate", "output", "user_data", "job_level", "operation")
_OUTPUT: Final[JsonSchema] = {
    "type": "object",
    "anyOf": [{"required": [key], "properties": {key: _ONE}} for key in facts.OUTPUT_KEYS],
}
_QUEUE: Final[JsonSchema] = {
    "type": "object",
    "required": ["mq_region", "mq_name"],
    "properties": {"mq_region": {"enum": list(facts.MQ_REGIONS)}, "mq_name": _ONE},
}
_VOICE: Final[dict[str, JsonSchema]] = {
    "VoiceSeparate": {
        "required": ["voice_separate", "output"],
        "properties": {"voice_separate": _parameters(), "output": _OUTPUT, "template_id": _NO_TEXT},
    },
    "VoiceSeparate by a template": {
        "required": ["template_id", "output"],
        "properties": {"template_id": _ONE, "output": _OUTPUT},
    },
}
_OWN: Final = [
    {**each, "properties": each["properties"] | {"tag": {"enum": ["VoiceSeparate", None]}}}
    for each in _VOICE.values()
]
_RAW: Final[JsonSchema] = {
    "required": ["tag"],
    "properties": {
        "tag": {"type": "string", "pattern": "[!-~]", "not": {"const": "VoiceSeparate"}},
        "voice_separate": _NULL,
    },
    "anyOf": [
        {"properties": {"tag": {"not": {"enum": sorted(facts.NEEDS_OPERATION)}}}},
        {"required": ["operation"], "properties": {"operation": {"type": "object", "minProperties": 1}}},
        {"required": ["template_id"], "properties": {"template_id": _ONE}},
        {"required": ["output"], "properties": {"output": {"type": "object"}}},
    ],
}
