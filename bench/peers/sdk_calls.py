"""Only the SDK call: ``python -m bench.peers.sdk_calls ADDRESS BUCKET REGION COUNT``.

Prints the processor time of one submission in microseconds, without imports.
"""

from __future__ import annotations

import logging
import sys
import time

from qcloud_cos import CosConfig, CosS3Client  # type: ignore[attr-defined]


def main() -> None:
    host, bucket, region, count = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    ip, _, port = host.rpartition(":")
    config = CosConfig(  # type: ignore[no-untyped-call]
        Region=region, SecretId="emulator", SecretKey="emulator", Scheme="http", IP=ip, Port=int(port)
    )
    client = CosS3Client(config, retry=0)  # type: ignore[no-untyped-call]
    began = time.process_time()
    for number in range(int(count)):
        client.ci_create_media_jobs(Bucket=bucket, Jobs=job(bucket, region, f"input/{number}.mp3"), Lst={})  # type: ignore[no-untyped-call]
    print((time.process_time() - began) * 1e6 / int(count))


def job(bucket: str, region: str, key: str) -> dict[str, object]:
    """The SDK's input for the XML: a VoiceSeparate job on that object."""
    return {
        "Tag": "VoiceSeparate",
        "Input": {"Object": key},
        "Operation": {
            "VoiceSeparate": {"AudioMode": "AudioAndBackground", "AudioConfig": {"Codec": "mp3"}},
            "Output": {
                "Region": region,
                "Bucket": bucket,
                "Object": "out/background.${ext}",
                "AuObject": "out/vocals.${ext}",
            },
        },
    }


if __name__ == "__main__":
    main()
