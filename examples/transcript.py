"""From a recording on this disk to its transcript: upload to COS, recognise at CI, download.

    URL=http://127.0.0.1:8000 KEY=… python examples/transcript.py talk.mp3

The key needs the scopes submit, read and links. Without COS_… variables it uses the emulator of ``make run``. The same
recording is not paid for twice within a day: the digest of its content is the idempotency key.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import httpx
from ci_receiver_client import Client, Job, Problem
from qcloud_cos.cos_client import CosConfig, CosS3Client

BUCKET = os.environ.get("COS_BUCKET", "demo-1250000000")
REGION = os.environ.get("COS_REGION", "ap-chongqing")
PATIENCE_S = 3600.0


def main(recording: Path) -> int:
    digest = hashlib.sha256(recording.read_bytes()).hexdigest()[:32]
    source, target = f"input/{digest}/{recording.name}", f"transcripts/{digest}.txt"
    upload(recording, source)
    with Client(os.environ["URL"], os.environ["KEY"]) as receiver:
        try:
            receipt = receiver.submit(request(source, target), idempotency_key=f"transcript-{digest}")
        except Problem as problem:
            print(f"{problem.reason}: {problem.detail} {problem.errors}", file=sys.stderr)
            return 2
        job = receiver.wait(receipt.job.job_id, timeout=PATIENCE_S)
        if job.outputs_unchecked:
            # Only the callback names the files: CI is asked whether it wrote them, which takes it a moment.
            job = receiver.refresh(job.job_id)
    if job.state != "Success":
        print(f"{job.job_id} ended as {job.state}: {job.code} {job.message}", file=sys.stderr)
        return 1
    transcript = recording.with_suffix(".txt")
    transcript.write_bytes(download(job))
    print(transcript)
    return 0


def upload(recording: Path, source: str) -> None:
    cos().upload_file(Bucket=BUCKET, Key=source, LocalFilePath=str(recording))


def request(source: str, target: str) -> dict[str, object]:
    """CI's own SpeechRecognition, with CI's own names; ``labels`` are ours and come back with every event."""
    recognition = {"EngineModelType": "16k_zh", "ChannelNum": "1", "ResTextFormat": "0"}
    output = {"Region": REGION, "Bucket": BUCKET, "Object": target}
    return {
        "tag": "SpeechRecognition",
        "input": {"bucket": BUCKET, "region": REGION, "object": source},
        "operation": {"SpeechRecognition": recognition, "Output": output},
        "labels": {"pipeline": "transcript"},
    }


def download(job: Job) -> bytes:
    """What the job wrote, by the presigned link that the service made."""
    link = job.outputs[0].url
    if link is None:
        raise SystemExit(
            "There is no link: does the key have the scope links, and the service COS credentials?"
        )
    return httpx.get(link, timeout=60).raise_for_status().content


def cos() -> CosS3Client:
    """Tencent's own client, for the account of the variables, else for the emulator."""
    account = {"SecretId": os.environ.get("COS_SECRET_ID", "emulator")}
    account["SecretKey"] = os.environ.get("COS_SECRET_KEY", "emulator")
    if "COS_SECRET_ID" in os.environ:
        return CosS3Client(CosConfig(Region=REGION, Scheme="https", **account))
    host, port = os.environ.get("EMULATOR", "127.0.0.1:8001").split(":")
    return CosS3Client(CosConfig(Region=REGION, Scheme="http", IP=host, Port=int(port), **account))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
