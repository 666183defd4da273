"""Every field of CI's VoiceSeparate request as an option, with CI's own limits as its help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from app.submitter.rows import nest


class _Field(NamedTuple):
    flags: tuple[str, ...]
    path: str  # of the field in the body of POST /v1/jobs
    help: str


_FIELDS = (
    _Field(
        ("--input-object", "--input"),
        "input.object",
        "Key of the recording: MP4 AVI MOV FLAC WAV AMR MP3 AAC.",
    ),
    _Field(("--input-url",), "input.url", "A URL instead of a key: seen in use, not documented by CI."),
    _Field(
        ("--bucket", "--input-bucket"),
        "input.bucket",
        "Bucket of the recording, BucketName-APPID. Default: COS_BUCKET.",
    ),
    _Field(
        ("--region", "--input-region"), "input.region", "Its region, as ap-chongqing. Default: COS_REGION."
    ),
    _Field(("--template-id",), "template_id", "A template instead of --audio-mode; it wins over it."),
    _Field(
        ("--audio-mode",),
        "voice_separate.audio_mode",
        "IsAudio (vocals), IsBackground, AudioAndBackground, or MusicMode (vocals, background, bass, drums).",
    ),
    _Field(
        ("--codec",),
        "voice_separate.audio_config.codec",
        "aac, mp3, flac or amr; in MusicMode mp3, wav or aac. CI's default: aac.",
    ),
    _Field(
        ("--samplerate",),
        "voice_separate.audio_config.samplerate",
        "Hz: 8000 11025 22050 32000 44100 48000 96000; aac and flac not 8000, mp3 not 8000 or 96000, amr only 8000. "
        "CI's default: 44100. Ignored in MusicMode.",
    ),
    _Field(
        ("--bitrate",),
        "voice_separate.audio_config.bitrate",
        "Kbps, 8 to 1000. CI's default: the source's. Ignored in MusicMode.",
    ),
    _Field(
        ("--channels",),
        "voice_separate.audio_config.channels",
        "aac and flac 1 2 4 5 6 8; mp3 1 2; amr 1. CI's default: the source's. Ignored in MusicMode.",
    ),
    _Field(
        ("--output-object", "--object"),
        "output.object",
        "Key for the background. In every key CI fills in ${ext} and ${jobid}. At least one key is needed.",
    ),
    _Field(("--au-object",), "output.au_object", "Key for the vocals."),
    _Field(("--bass-object",), "output.bass_object", "Key for the bass (MusicMode)."),
    _Field(("--drum-object",), "output.drum_object", "Key for the drums (MusicMode)."),
    _Field(("--output-bucket",), "output.bucket", "Default: the input's."),
    _Field(("--output-region",), "output.region", "Default: the input's."),
    _Field(("--user-data",), "user_data", "Comes back in the callback: printable ASCII, at most 1024."),
    _Field(("--job-level",), "job_level", "0 (CI's default), 1 or 2: higher goes first."),
    _Field(
        ("--queue-id",), "queue_id", "See `flask queues list`. Default: the one that CI made for the feature."
    ),
    _Field(
        ("--callback",),
        "callback",
        "`no`, or an http(s) URL of yours that is not private. Default: ours, for this job alone.",
    ),
    _Field(("--callback-format",), "callback_format", "JSON or XML. Default: CALLBACK_FORMAT."),
    _Field(
        ("--callback-type",),
        "callback_type",
        "Url (CI's default) or TDMQ, which needs --mq-region and --mq-name.",
    ),
    _Field(("--mq-region",), "callback_mq_config.mq_region", "For TDMQ: sh, bj, gz, cd or hk."),
    _Field(("--mq-mode",), "callback_mq_config.mq_mode", "For TDMQ: Topic or Queue (CI's default)."),
    _Field(("--mq-name",), "callback_mq_config.mq_name", "For TDMQ: the topic or queue."),
)

Command = Callable[..., Any]

allow_option = click.option(
    "--allow",
    multiple=True,
    metavar="WORD",
    help="Let a rule through, by its word in [brackets]. Repeatable.",
)


def voice_options(command: Command) -> Command:
    """All of them, for ``request_of``."""
    command = allow_option(command)
    command = click.option(
        "--label",
        "labels",
        multiple=True,
        callback=_labels,
        metavar="NAME=VALUE",
        help="Your own; stays with us. Repeatable.",
    )(command)
    for field in reversed(_FIELDS):
        command = click.option(*field.flags, _parameter(field), metavar="TEXT", help=field.help)(command)
    return command


def request_of(options: dict[str, Any]) -> dict[str, Any]:
    """The options as the body of ``POST /v1/jobs`` would have them; what is not given is not there."""
    flat = {field.path: options[_parameter(field)] for field in _FIELDS}
    labels = {"labels": options["labels"]} if options["labels"] else {}
    return nest(flat | {"allow": list(options["allow"])}) | labels


def _labels(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{each!r} is not NAME=VALUE")
        if name in labels:
            raise click.BadParameter(f"{name!r} is given twice")
        labels[name] = value
    return labels


def _parameter(field: _Field) -> str:
    return field.path.replace(".", "_")
