"""The rules of VoiceSeparate: modes, the rates and channels of each codec, the outputs of each mode."""

import re

from app.ci.outgoing import facts
from app.ci.outgoing.operation import View
from app.ci.outgoing.request import AudioConfig, VoiceSeparate
from app.ci.outgoing.rules.broken import RuleFindings

_KNOWN_WILDCARD = re.compile("|".join(r"\$\{%s\}" % name for name in facts.WILDCARDS), re.IGNORECASE)  # noqa: UP031 - braces


def voice_rules(view: View) -> RuleFindings:
    """The rules of one VoiceSeparate operation. Under a template CI ignores voice_separate; so do we."""
    if view.template_id and view.voice_separate:
        yield (
            view.field("voice_separate"),
            "template_wins",
            "CI ignores it when template_id is given",
        )
    elif view.voice_separate:
        yield from _separate(view, view.voice_separate)
    elif not view.template_id:
        yield f"{view.path}voice_separate", "missing", "one of template_id and voice_separate is required"
    yield from _keys(view)
    yield from _wildcards(view)


def _separate(view: View, separate: VoiceSeparate) -> RuleFindings:
    mode, config = separate.audio_mode, separate.audio_config
    field = view.field("voice_separate.audio_mode")
    if not mode:
        yield field, "missing", "is required where no template_id is given"
    elif mode not in facts.MODES:
        yield field, "audio_mode", f"is one of {', '.join(facts.MODES)}"
    if config is None:
        yield (
            view.field("voice_separate.audio_config"),
            "missing",
            "is required, and may be empty",
        )
        return
    rules = _music(config) if mode == facts.MUSIC_MODE else _audio(config)
    yield from ((view.field(f"voice_separate.audio_config.{name}"), word, rule) for name, word, rule in rules)


def _music(config: AudioConfig) -> RuleFindings:
    codec = config.codec
    if codec and codec.lower() not in facts.MUSIC_CODECS:
        yield "codec", "codec", f"in MusicMode is one of {', '.join(facts.MUSIC_CODECS)}"
    elif codec:
        yield from _case(codec)
    for name in ("samplerate", "bitrate", "channels"):
        if getattr(config, name):
            yield name, "ignored_in_music_mode", "CI ignores this in MusicMode"


def _audio(config: AudioConfig) -> RuleFindings:
    codec = (config.codec or facts.DEFAULT_CODEC).lower()
    if codec not in facts.CODECS:
        yield "codec", "codec", f"is one of {', '.join(facts.CODECS)}; wav is for MusicMode only"
    elif config.codec:
        yield from _case(config.codec)
    rates, channels = facts.CODECS.get(codec, (facts.SAMPLERATES, facts.CHANNELS))
    if config.samplerate and config.samplerate not in rates:
        yield "samplerate", "samplerate", f"for {codec[:20]} is one of {', '.join(rates)}"
    if codec == "amr" and not config.samplerate:
        yield "samplerate", "amr_samplerate", "CI's default of 44100 is not possible with amr: say 8000"
    if config.channels and config.channels not in channels:
        yield "channels", "channels", f"for {codec[:20]} is one of {', '.join(channels)}"
    if config.bitrate and not _in_range(config.bitrate):
        yield "bitrate", "bitrate", f"is a whole number of Kbps, {facts.BITRATE[0]} to {facts.BITRATE[-1]}"


def _in_range(bitrate: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,4}", bitrate)) and int(bitrate) in facts.BITRATE


def _case(codec: str) -> RuleFindings:
    if codec != codec.lower():
        yield (
            "codec",
            "codec_case",
            "CI's pages write codecs in lower case only",
        )


def _keys(view: View) -> RuleFindings:
    keys = {name: getattr(view.output, name) for name in facts.OUTPUT_KEYS} if view.output else {}
    given = {name for name, key in keys.items() if key}
    for name in ("region", "bucket") if "Output" in view.raw else ():  # where it is typed, ours are filled in
        if view.output and not getattr(view.output, name):
            yield view.field(f"output.{name}"), "missing", "is required in a raw Output"
    if not given:
        rule = f"at least one of {', '.join(facts.OUTPUT_KEYS)} is required"
        yield view.field("output.object") if view.output else f"{view.path}output", "output_empty", rule
        return
    if len({keys[name] for name in given}) < len(given):
        yield (
            view.field("output"),
            "output_same",
            "two outputs have the same key: one would overwrite the other",
        )
    mode = view.voice_separate.audio_mode if view.voice_separate and not view.template_id else None
    needed = set(facts.MODES.get(mode or "", ()))
    for name in facts.OUTPUT_KEYS:
        if name in needed - given:
            yield view.field(f"output.{name}"), "output_for_mode", f"{mode} makes a file for this key"
        if needed and name in given - needed:
            yield view.field(f"output.{name}"), "output_unused", f"{mode} makes no file for this key"


def _wildcards(view: View) -> RuleFindings:
    for name in facts.OUTPUT_KEYS if view.output else ():
        key = getattr(view.output, name) or ""
        if "${" in _KNOWN_WILDCARD.sub("", key):
            yield (
                view.field(f"output.{name}"),
                "wildcard",
                "CI fills in ${ext} and ${jobid}, nothing else",
            )
