"""CI's rules for VoiceSeparate: right and wrong, as tables."""

from typing import Any

import pytest

from tests.ci.requests import broken, request, violations, voice

CONFIG = "voice_separate.audio_config"


@pytest.mark.parametrize(
    "config",
    [
        {},
        *(
            {"codec": c, "samplerate": r}
            for c in ("aac", "flac")
            for r in (11025, 22050, 32000, 44100, 48000, 96000)
        ),
        *({"codec": "mp3", "samplerate": r} for r in (11025, 22050, 32000, 44100, 48000)),
        {"codec": "amr", "samplerate": 8000},
        {"codec": "amr", "samplerate": 8000, "channels": 1},
        *({"codec": c, "channels": n} for c in ("aac", "flac") for n in (1, 2, 4, 5, 6, 8)),
        *({"codec": "mp3", "channels": n} for n in (1, 2)),
        {"bitrate": 8},
        {"bitrate": 1000},
        {"samplerate": 96000},
        {"channels": 8},
    ],
)
def test_documented_requests_pass(config: dict[str, Any]) -> None:
    """Every legal pair of codec with rate and channels; aac is meant where no codec is named."""
    assert broken(voice(**config)) == []


@pytest.mark.parametrize(
    ("config", "field"),
    [
        *(({"codec": c, "samplerate": 8000}, "samplerate") for c in ("aac", "flac", "mp3", None)),
        ({"codec": "mp3", "samplerate": 96000}, "samplerate"),
        *(({"codec": "amr", "samplerate": r}, "samplerate") for r in (11025, 44100, 96000)),
        *(
            ({"codec": "aac", "samplerate": r}, "samplerate")
            for r in (0, -1, 16000, 44101, "44.1k", "44100 ")
        ),
        *(({"codec": c, "channels": n}, "channels") for c in ("aac", "flac", None) for n in (0, 3, 7, 9)),
        *(({"codec": "mp3", "channels": n}, "channels") for n in (4, 5, 6, 8)),
        ({"codec": "amr", "samplerate": 8000, "channels": 2}, "channels"),
        *(({"bitrate": b}, "bitrate") for b in (0, 7, 1001, -8, "128k", "10000000000", "٨", "1e2")),
        *(({"codec": c}, "codec") for c in ("wav", "ogg", "acc", "opus")),
    ],
)
def test_a_violation_of_a_documented_rule_is_an_error(config: dict[str, Any], field: str) -> None:
    """Each is one broken rule at its own field."""
    found = broken(voice(**config))
    assert [(b.field, b.word, b.severity) for b in found] == [(f"{CONFIG}.{field}", field, "error")]


@pytest.mark.parametrize("field", ["samplerate", "channels", "bitrate"])
def test_an_unknown_codec_hides_nothing(field: str) -> None:
    """A value that no codec has is reported beside the unknown codec."""
    config: dict[str, Any] = {"codec": "opus", field: 77777}
    assert violations(voice(**config)) == {(f"{CONFIG}.{name}", name) for name in ("codec", field)}
    assert violations(voice(codec="opus", samplerate=44100, channels=8)) == {(f"{CONFIG}.codec", "codec")}


def test_every_broken_rule_is_named_at_once() -> None:
    """Rate, channels and bitrate are each looked at, whatever the others are."""
    made = voice(codec="amr", samplerate=44100, channels=2, bitrate=5000)
    assert violations(made) == {(f"{CONFIG}.{f}", f) for f in ("samplerate", "channels", "bitrate")}


def test_amr_without_a_rate_is_doubtful() -> None:
    """amr does not have CI's default rate; that the two clash is inferred, so it is a warning."""
    (found,) = broken(voice(codec="amr"))
    assert (found.word, found.severity) == ("amr_samplerate", "warning")


def test_upper_case_codecs_are_doubtful() -> None:
    """An SDK's example writes AAC; CI's pages do not. The rules of aac hold all the same."""
    assert violations(voice(codec="AAC")) == {(f"{CONFIG}.codec", "codec_case")}
    assert violations(voice(codec="MP3", channels=8)) == {
        (f"{CONFIG}.codec", "codec_case"),
        (f"{CONFIG}.channels", "channels"),
    }


@pytest.mark.parametrize("codec", ["mp3", "wav", "aac", None])
def test_music_mode_takes_its_own_codecs(codec: str | None) -> None:
    """wav is for MusicMode only."""
    assert broken(voice("MusicMode", codec=codec)) == []


@pytest.mark.parametrize("codec", ["flac", "amr", "acc", "ogg"])
def test_music_mode_refuses_others(codec: str) -> None:
    """flac and amr are not for MusicMode."""
    assert violations(voice("MusicMode", codec=codec)) == {(f"{CONFIG}.codec", "codec")}


def test_music_mode_ignores_the_rest() -> None:
    """CI ignores these fields, so a wrong value in them is a warning and no error."""
    found = broken(voice("MusicMode", codec="mp3", samplerate=96000, channels=8, bitrate=1))
    assert {b.field for b in found} == {f"{CONFIG}.{f}" for f in ("samplerate", "channels", "bitrate")}
    assert {(b.word, b.severity) for b in found} == {("ignored_in_music_mode", "warning")}


@pytest.mark.parametrize("mode", ["isaudio", "Music", "IsVoice"])
def test_an_unknown_mode_is_an_error(mode: str) -> None:
    """CI's modes are four."""
    assert violations(voice(mode)) == {("voice_separate.audio_mode", "audio_mode")}


@pytest.mark.parametrize(
    ("separate", "missing"),
    [
        ({}, {"voice_separate.audio_mode", CONFIG}),
        ({"audio_mode": "IsAudio"}, {CONFIG}),
        ({"audio_config": {}}, {"voice_separate.audio_mode"}),
        ({"audio_mode": "", "audio_config": {}}, {"voice_separate.audio_mode"}),
        (None, {"voice_separate"}),
    ],
)
def test_what_ci_requires_is_required(separate: dict[str, Any] | None, missing: set[str]) -> None:
    """One of template and voice_separate; with the latter a mode, and the container of the audio config."""
    made = request(voice_separate=separate, output={"au_object": "a"})
    assert {(b.field, b.word) for b in broken(made) if b.severity == "error"} == {
        (f, "missing") for f in missing
    }


def test_a_template_stands_for_voice_separate() -> None:
    """The template decides which outputs are made, so no rule for outputs applies."""
    assert broken(request(voice_separate=None, template_id="t1", output={"bass_object": "b"})) == []


def test_a_template_wins_over_voice_separate() -> None:
    """Both may be given, and CI ignores voice_separate: it is reported as useless, and not checked."""
    made = request(template_id="t1", voice_separate={"audio_mode": "Nonsense"})
    assert [(b.field, b.word, b.severity) for b in broken(made)] == [
        ("voice_separate", "template_wins", "warning")
    ]


@pytest.mark.parametrize(
    "output", [None, {}, {"bucket": "demo-1250000000", "region": "ap-chongqing"}, {"object": ""}]
)
def test_an_output_key_is_required(output: dict[str, Any] | None) -> None:
    """Not all four may be empty."""
    (found,) = broken(request(output=output))
    assert (found.word, found.severity) == ("output_empty", "error")
    assert found.field == ("output" if output is None else "output.object")


@pytest.mark.parametrize(
    ("mode", "given", "lacking", "useless"),
    [
        ("IsAudio", ["object"], ["au_object"], ["object"]),
        ("IsBackground", ["au_object"], ["object"], ["au_object"]),
        ("AudioAndBackground", ["au_object"], ["object"], []),
        ("AudioAndBackground", ["object"], ["au_object"], []),
        ("AudioAndBackground", ["object", "au_object", "bass_object"], [], ["bass_object"]),
        ("MusicMode", ["bass_object"], ["object", "au_object", "drum_object"], []),
    ],
)
def test_the_keys_of_a_mode_are_inferred(
    mode: str, given: list[str], lacking: list[str], useless: list[str]
) -> None:
    """No page says which mode needs which key; what each makes does. So: warnings."""
    separate = {"audio_mode": mode, "audio_config": {}}
    found = broken(request(voice_separate=separate, output={key: f"out/{key}" for key in given}))
    assert {b.severity for b in found} == {"warning"}
    assert {b.field for b in found if b.word == "output_for_mode"} == {f"output.{key}" for key in lacking}
    assert {b.field for b in found if b.word == "output_unused"} == {f"output.{key}" for key in useless}


@pytest.mark.parametrize(
    "key", ["a.${ext}", "a.${Ext}", "${jobid}/a", "${JobId}.${ext}", "a$b", "a{ext}", "$", "a}${ext}"]
)
def test_known_wildcards_pass(key: str) -> None:
    """Tencent's pages vary the case of the two."""
    assert broken(request(output={"object": key, "au_object": "v"})) == []


@pytest.mark.parametrize(
    "key", ["a.${format}", "${InputName}.mp3", "${Number}", "${}", "${ext", "${ ext }", "${ext}${x}"]
)
def test_other_wildcards_are_doubtful(key: str) -> None:
    """They may stay in the object's name as they are."""
    assert violations(request(output={"object": key, "au_object": "v"})) == {("output.object", "wildcard")}


def test_outputs_that_would_overwrite_are_doubtful() -> None:
    """Two outputs with one key, or an output with the key of the input."""
    assert violations(request(output={"object": "a", "au_object": "a"})) == {("output", "output_same")}
    made = request(output={"object": "in/talk.mp4", "au_object": "v"})
    assert violations(made) == {("output.object", "output_is_input")}
    elsewhere = {"bucket": "other-1250000000", "object": "in/talk.mp4", "au_object": "v"}
    assert broken(request(output=elsewhere)) == []


@pytest.mark.parametrize(
    ("key", "warned"), [("a.MP3", False), ("a", False), ("a.b/c", False), ("a.txt", True)]
)
def test_the_format_of_the_input_is_guessed_by_its_name(key: str, warned: bool) -> None:
    """CI reads eight formats; a name proves nothing, so it warns."""
    assert violations(request(input={"object": key})) == (
        {("input.object", "input_format")} if warned else set()
    )
