"""``flask submit voice-separate``, ``raw`` and ``show``: one request, what is printed, and the exit code."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from app.ci.outgoing.request import SubmitRequest
from app.cli.submit.command import voice_separate
from app.cli.submit.voice_options import fields
from app.services import Services
from app.settings import Settings
from app.submitter.columns import columns
from harness.emulated import Emulated
from harness.servers import ROOT, free_port
from tests.cli.submit.conftest import ONE, Flask, command

EVERY = {
    "--input-object": "in/song.mp4",
    "--template-id": "",
    "--audio-mode": "AudioAndBackground",
    "--codec": "flac",
    "--samplerate": "48000",
    "--bitrate": "320",
    "--channels": "2",
    "--output-object": "o/bg.${ext}",
    "--au-object": "o/${jobid}.${ext}",
    "--output-bucket": "other-1250000000",
    "--output-region": "ap-shanghai",
    "--user-data": "order 7 <&>",
    "--job-level": "2",
    "--queue-id": "p123",
    "--callback": "https://example.com/hook?x=1",
    "--callback-format": "XML",
    "--label": "order=7",
}


def test_every_field_has_an_option_and_a_column() -> None:
    """The request's own fields, the options and the columns of a CSV are the same set."""
    assert {path for path, _ in fields()} | {"tag", "allow"} == set(columns())
    assert {name.partition(".")[0] for name in columns()} | {"labels", "operations", "operation"} == set(
        SubmitRequest.model_fields
    )


def test_help_says_cis_own_limits() -> None:
    """So a user need not open CI's pages."""
    printed = " ".join(CliRunner().invoke(voice_separate, ["--help"]).output.split())
    for limit in (
        "IsAudio (vocals), IsBackground, AudioAndBackground, or MusicMode",
        "aac, mp3, flac or amr; in MusicMode mp3, wav or aac",
        "8000 11025 22050 32000 44100 48000 96000",
        "amr only 8000",
        "Kbps, 8 to 1000",
        "aac and flac 1 2 4 5 6 8; mp3 1 2; amr 1",
        "${ext} and ${jobid}",
        "printable ASCII, at most 1024",
        "0 (CI's default), 1 or 2",
        "sh, bj, gz, cd or hk",
        "Topic or Queue",
    ):
        assert limit in printed


def test_a_dry_run_prints_the_exact_xml_and_sends_nothing(flask: Flask, ci: Emulated) -> None:
    """Standard output is the XML alone; every option is in it; warnings are on standard error."""
    arguments = [word for pair in EVERY.items() if pair[1] for word in pair]
    ran = flask("submit", "voice-separate", *arguments, "--dry-run")
    assert ran.code == 0, ran.err
    root = ET.fromstring(ran.out)  # noqa: S314 - our own
    assert {path: root.findtext(path) for path in SAID} == SAID
    assert "order=7" not in ran.out
    assert "goes to a URL of yours" in ran.err
    assert ci.requests() == []


SAID = {
    "Tag": "VoiceSeparate",
    "Input/Object": "in/song.mp4",
    "Operation/VoiceSeparate/AudioMode": "AudioAndBackground",
    "Operation/VoiceSeparate/AudioConfig/Codec": "flac",
    "Operation/VoiceSeparate/AudioConfig/Samplerate": "48000",
    "Operation/VoiceSeparate/AudioConfig/Bitrate": "320",
    "Operation/VoiceSeparate/AudioConfig/Channels": "2",
    "Operation/Output/Object": "o/bg.${ext}",
    "Operation/Output/AuObject": "o/${jobid}.${ext}",
    "Operation/Output/Bucket": "other-1250000000",
    "Operation/Output/Region": "ap-shanghai",
    "Operation/UserData": "order 7 <&>",
    "Operation/JobLevel": "2",
    "QueueId": "p123",
    "CallBack": "https://example.com/hook?x=1",
    "CallBackFormat": "XML",
}


def test_a_broken_request_names_every_rule_and_exits_2(flask: Flask, ci: Emulated) -> None:
    """Each error has its field and its word; standard output is empty."""
    ran = flask(
        "submit", "voice-separate", "--input-object", "in/a.mp3", "--audio-mode", "Loud", "--codec", "amr",
        "--samplerate", "44100", "--job-level", "9", "--user-data", "café", "--callback-type", "TDMQ", "--dry-run",
    )  # fmt: skip
    assert (ran.code, ran.out) == (2, "")
    words = (
        "[audio_mode]",
        "[samplerate]",
        "[job_level]",
        "[user_data]",
        "--mq-region",
        "--mq-name",
    )
    for word in words:
        assert word in ran.err
    assert "error: --output-object" in ran.err
    assert ci.requests() == []


def test_a_rule_can_be_let_through_on_purpose(flask: Flask) -> None:
    """CI has added a codec since: `--allow codec`."""
    arguments = ["submit", "voice-separate", *ONE[:4], "--codec", "opus", "--au-object", "o", "--dry-run"]
    assert flask(*arguments).code == 2
    allowed = flask(*arguments, "--allow", "codec")
    assert allowed.code == 0, allowed.err
    assert "<Codec>opus</Codec>" in allowed.out


@pytest.mark.parametrize("label", ["foo", "=x", ""])
def test_a_label_is_name_and_value(label: str, flask: Flask, ci: Emulated) -> None:
    """Anything else is an error."""
    ran = flask("submit", "voice-separate", *ONE, "--label", label)
    assert (ran.code, ran.out) == (2, "")
    assert "is not NAME=VALUE" in ran.err
    assert ci.requests() == []


def test_labels_are_kept_as_they_are(flask: Flask, services: Services) -> None:
    """Also with an equals sign in the value, or an empty value."""
    ran = flask("submit", "voice-separate", *ONE, "--label", "a=b=c", "--label", "d.e=", "--json")
    kept = services.store.submissions.get(ran.json["submission"]["id"])
    assert kept is not None
    assert kept.labels == {"a": "b=c", "d.e": ""}
    twice = flask("submit", "voice-separate", *ONE, "--label", "a=1", "--label", "a=2")
    assert (twice.code, "given twice" in twice.err) == (2, True)


def test_bucket_and_region_of_the_input_go_by_either_name(flask: Flask) -> None:
    """As those of the output do."""
    short = flask(
        "submit", "voice-separate", *ONE, "--bucket", "b-1250000000", "--region", "ap-tokyo", "--dry-run"
    )
    long = flask(
        "submit",
        "voice-separate",
        *ONE,
        "--input-bucket",
        "b-1250000000",
        "--input-region",
        "ap-tokyo",
        "--dry-run",
    )
    assert "<Bucket>b-1250000000</Bucket>" in long.out
    assert [ran.out.partition("<CallBack>")[0] for ran in (short, long)] == [
        long.out.partition("<CallBack>")[0]
    ] * 2


def test_a_rule_can_be_let_through_for_a_ready_file(flask: Flask, tmp_path: Path) -> None:
    """By its word, as for a typed request."""
    path = tmp_path / "request.xml"
    path.write_text(
        "<Request><Tag>VoiceSeparate</Tag><Input><Object>a.mp3</Object></Input><Operation><VoiceSeparate>"
        "<AudioMode>IsAudio</AudioMode><AudioConfig><Codec>opus</Codec></AudioConfig></VoiceSeparate><Output>"
        "<Region>ap-chongqing</Region><Bucket>b-1250000000</Bucket><AuObject>o</AuObject></Output></Operation></Request>"
    )
    refused = flask("submit", "raw", str(path), "--dry-run")
    assert (refused.code, "[codec]" in refused.err) == (2, True)
    allowed = flask("submit", "raw", str(path), "--allow", "codec", "--dry-run")
    assert allowed.code == 0, allowed.err
    assert "<Codec>opus</Codec>" in allowed.out


def test_warnings_are_also_in_the_json_output(flask: Flask) -> None:
    """In the API's form, and as text on standard error."""
    ran = flask("submit", "voice-separate", *ONE, "--output-object", "out/b.mp3", "--json")
    assert [doubt["word"] for doubt in ran.json["warnings"]] == ["output_unused"]
    assert "[output_unused]" in ran.err


def test_a_job_is_submitted_and_shown(flask: Flask, ci: Emulated) -> None:
    """`--json` prints the API's document; `show` prints the submission."""
    ran = flask("submit", "voice-separate", *ONE, "--label", "order=7", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["state"], ran.json["tag"]) == ("Submitted", "VoiceSeparate")
    assert "warnings" not in ran.json
    seen = flask("submit", "show", ran.json["submission"]["id"], "--json")
    assert (seen.json["status"], seen.json["labels"]) == ("submitted", {"order": "7"})
    assert ci.statuses() == [200]
    assert flask("submit", "show", "snone").code == 3


def test_an_empty_audio_config_needs_no_option(flask: Flask) -> None:
    """CI requires the container; without values it uses its defaults."""
    ran = flask(
        "submit",
        "voice-separate",
        "--input",
        "a.mp3",
        "--audio-mode",
        "IsAudio",
        "--au-object",
        "v",
        "--dry-run",
    )
    assert ran.code == 0, ran.err
    assert "<AudioConfig />" in ran.out


def test_a_refusal_by_ci_exits_6_with_advice(flask: Flask, ci: Emulated) -> None:
    """CI's code, its request id and the advice; sent once."""
    ci.fault("error", on="submit", code="MediaBucketUnBinded", status=403, message="Not bound.")
    ran = flask("submit", "voice-separate", *ONE)
    assert ran.code == 6
    assert "MediaBucketUnBinded: Not bound" in ran.err
    assert "Bind the bucket" in ran.err
    assert "request id" in ran.err
    assert ci.statuses() == [403]


def test_a_lost_answer_exits_4_and_says_not_to_repeat(flask: Flask, ci: Emulated) -> None:
    """Neither done nor failed."""
    ci.fault("lost_answer", on="submit")
    ran = flask("submit", "voice-separate", *ONE, "--json")
    assert ran.code == 4
    assert ran.json["status"] == "lost"
    assert "do not submit again" in ran.err
    assert ci.statuses() == [0]


def test_redis_away_exits_5_and_nothing_is_sent(flask: Flask, ci: Emulated) -> None:
    """The error names what to check."""
    ran = flask("submit", "voice-separate", *ONE, redis_url=f"redis://127.0.0.1:{free_port()}")
    assert ran.code == 5, ran.err
    assert "REDIS_URL" in ran.err
    assert ci.requests() == []


def test_without_a_public_url_it_says_that_ci_is_asked(flask: Flask, ci: Emulated) -> None:
    """As on a laptop behind NAT: the request has CallBack=no, and the command says that CI will be asked."""
    ran = flask("submit", "voice-separate", *ONE, "--json", public_url=None)
    assert ran.code == 0, ran.err
    assert "PUBLIC_URL is not set" in ran.err
    assert ran.json["submission"]["callback"] == "no"
    assert "<CallBack>no</CallBack>" in ci.requests()[0]["full"]["body"]


@pytest.mark.parametrize("dash", [False, True], ids=["a file", "standard input"])
def test_a_ready_file_is_sent_as_it_is(dash: bool, flask: Flask, ci: Emulated, tmp_path: Path) -> None:
    """With our CallBack; `--dry-run` prints the bytes first; an invalid file is refused with its error."""
    xml = (
        f"<Request><Tag>Transcode</Tag><Input><Object>in/a.mp4</Object></Input><Operation><TemplateId>t1</TemplateId>"
        f"<Output><Region>ap-chongqing</Region><Bucket>{ci.bucket}</Bucket><Object>o.mp4</Object></Output>"
        f"</Operation></Request>"
    )
    path = tmp_path / "request.xml"
    path.write_text(xml)
    name, stdin = ("-", xml) if dash else (str(path), None)
    dry = flask("submit", "raw", name, "--dry-run", stdin=stdin)
    assert dry.code == 0, dry.err
    assert dry.out.startswith(xml.removesuffix("</Request>"))
    assert ci.requests() == []
    ran = flask("submit", "raw", name, "--json", stdin=stdin)
    assert (ran.code, ran.json["tag"]) == (0, "Transcode")
    path.write_text("<Request><Tag>")
    broken = flask("submit", "raw", str(path))
    assert broken.code == 2
    assert "[xml]" in broken.err


@pytest.mark.parametrize("tag", ["MediaInfo", "ImageInspect"])
def test_a_ready_file_may_have_no_operation(tag: str, flask: Flask, ci: Emulated) -> None:
    """If its tag needs none; a `NO` in its CallBack is sent as `no`, and every other byte is unchanged."""
    xml = f"<Request><Tag>{tag}</Tag>\n<Input><Object>in/a.mp4</Object></Input><CallBack>NO</CallBack>  </Request>"
    ran = flask("submit", "raw", "-", "--json", stdin=xml)
    assert (ran.code, ran.json["tag"]) == (0, tag), ran.err
    assert ci.requests()[0]["full"]["body"] == xml.replace("NO", "no")
    transcode = flask("submit", "raw", "-", stdin=xml.replace(tag, "Transcode"))
    assert (transcode.code, "[missing]" in transcode.err) == (2, True)
    assert len(ci.requests()) == 1


def test_the_command_as_a_process(settings: Settings, ci: Emulated) -> None:
    """It prints the job's id and exits with 0."""
    argv, variables = command(settings, "submit", "voice-separate", *ONE)
    done = subprocess.run(
        argv, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Submitted  VoiceSeparate" in done.stdout
    assert ci.statuses() == [200]
