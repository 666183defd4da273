"""``flask submit``: hand jobs to CI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

from app.ci.broken import BadRequest
from app.ci.rules import examine
from app.cli.output import as_json, guarded, show_job, show_json, show_rules
from app.services import services
from app.submitter import Draft, Submitter

group = AppGroup("submit", help="Hand jobs to CI.")


@group.command("voice-separate")
@click.option("--input-object", "--input", "input_object", help="Key of the recording in the bucket.")
@click.option("--bucket", help="Bucket of the recording. Default: COS_BUCKET.")
@click.option("--region", help="Its region. Default: COS_REGION.")
@click.option("--template-id", help="A template instead of --audio-mode; it wins over it.")
@click.option("--audio-mode", help="IsAudio, IsBackground, AudioAndBackground or MusicMode.")
@click.option("--codec", help="aac, mp3, flac or amr; in MusicMode mp3, wav or aac. CI's default: aac.")
@click.option(
    "--samplerate", help="8000 to 96000 Hz; amr only 8000. CI's default: 44100. Ignored in MusicMode."
)
@click.option("--bitrate", help="8 to 1000 Kbps. CI's default: as the source. Ignored in MusicMode.")
@click.option("--channels", help="aac, flac 1 2 4 5 6 8; mp3 1 2; amr 1. Ignored in MusicMode.")
@click.option(
    "--output-object", "--object", help="Key for the background; ${ext} and ${jobid} are filled in by CI."
)
@click.option("--au-object", help="Key for the vocals.")
@click.option("--bass-object", help="Key for the bass (MusicMode).")
@click.option("--drum-object", help="Key for the drums (MusicMode).")
@click.option("--output-bucket", help="Default: the input's.")
@click.option("--output-region", help="Default: the input's.")
@click.option("--user-data", help="Comes back in the callback: printable ASCII, at most 1024.")
@click.option("--job-level", help="0 (default), 1 or 2: higher first.")
@click.option("--queue-id", help="CI's queue; default: the one that CI chooses.")
@click.option("--callback", help="`no`, or a URL that is not ours. Default: our own, for this job alone.")
@click.option("--callback-format", help="JSON or XML. Default: CALLBACK_FORMAT.")
@click.option("--callback-type", help="Url or TDMQ.")
@click.option("--mq-region", help="For TDMQ: sh, bj, gz, cd or hk.")
@click.option("--mq-mode", help="For TDMQ: Topic or Queue.")
@click.option("--mq-name", help="For TDMQ: the topic or queue.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=VALUE", help="Stays with us. May be repeated."
)
@click.option("--allow", multiple=True, help="A rule (its word) to let through. May be repeated.")
@click.option(
    "--dry-run", is_flag=True, help="Print the exact XML and the rules; send nothing, cost nothing."
)
@as_json
@with_appcontext
@guarded
def voice_separate(dry_run: bool, json_wanted: bool, **options: Any) -> None:
    """Split a recording into vocals and background (and bass and drums, in MusicMode)."""
    submitter = Submitter(services())
    request, broken = examine(_request(options), submitter.defaults)
    if request is None or any(each.severity == "error" for each in broken):
        raise BadRequest(broken)
    _go(submitter, submitter.draft(request), dry_run, json_wanted)


@group.command("raw")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the exact XML; send nothing.")
@as_json
@with_appcontext
@guarded
def raw(file: Path, dry_run: bool, json_wanted: bool) -> None:
    """Send a ready XML request as it is, with our own CallBack where it has none."""
    submitter = Submitter(services())
    _go(submitter, submitter.draft_file(file.read_bytes()), dry_run, json_wanted)


def _go(submitter: Submitter, draft: Draft, dry_run: bool, json_wanted: bool) -> None:
    show_rules(draft.warnings)
    if dry_run:
        click.echo(draft.xml.decode())
        return
    receipt = submitter.send(draft)
    if not receipt.job_ids:
        click.echo(f"CI's answer was lost; submission {receipt.submission} is being looked for.", err=True)
        if json_wanted:
            show_json({"id": receipt.submission, "status": "lost"})
        return
    for job_id in receipt.job_ids:
        job = services().store.jobs.get(job_id)
        if job:
            show_job(job, json_wanted)


def _request(options: dict[str, Any]) -> dict[str, Any]:
    """The options as the body of ``POST /v1/jobs`` would have them."""
    given = {name: value for name, value in options.items() if value not in (None, ())}

    def take(*names: str, **renamed: str) -> dict[str, Any]:
        pairs = dict.fromkeys(names) and {name: name for name in names} | renamed
        return {theirs: given.pop(ours) for theirs, ours in pairs.items() if ours in given}

    config = take("codec", "samplerate", "bitrate", "channels")
    separate = take("audio_mode") | ({"audio_config": config} if config else {})
    request: dict[str, Any] = {
        "tag": "VoiceSeparate",
        "input": take("bucket", "region", object="input_object"),
        "output": take(
            "au_object",
            "bass_object",
            "drum_object",
            object="output_object",
            bucket="output_bucket",
            region="output_region",
        ),
        "voice_separate": separate,
        "callback_mq_config": take("mq_region", "mq_mode", "mq_name"),
        "labels": dict(label.partition("=")[::2] for label in given.pop("labels", ())),
        "allow": list(given.pop("allow", ())),
    }
    return {name: value for name, value in request.items() if value} | given
