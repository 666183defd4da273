"""Starts each role in the built root as a container would: numeric user, read-only root, one tmpfs at /tmp."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from typing import Literal

from deploy.image.build import Image
from deploy.image.dockerfile import last_of

Role = Literal["web", "worker", "relay"]
COMMANDS: dict[Role, list[str]] = {
    "web": [],
    "worker": ["python", "-m", "workers.worker"],
    "relay": ["python", "-m", "workers.relay"],
}
_PATIENCE_S = 120.0
_INSIDE = """
mount --bind "$1" "$1" && mount --options remount,bind,ro "$1"
mount -t proc proc "$1/proc" && mount -t tmpfs -o mode=1777 tmpfs "$1/tmp" && mount --rbind /dev "$1/dev"
root=$1 user=$2; shift 2
exec /usr/sbin/chroot --userspec="$user:$user" "$root" /bin/sh -c 'cd /srv && exec "$@"' sh "$@"
"""


def rehearse(image: Image, redis_url: str) -> list[str]:
    """The line of the health check for each role. Raises RuntimeError if a role does not become healthy."""
    return [_health(image, role, redis_url) for role in COMMANDS]


def _health(image: Image, role: Role, redis_url: str) -> str:
    with _running(image, role, redis_url) as process:
        check = [*_entered(process.pid, image), *last_of(image.stage, "HEALTHCHECK").listed()]
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and process.poll() is None:
            asked = subprocess.run(
                check, capture_output=True, text=True, env=_environment(image, redis_url), check=False
            )
            if asked.returncode == 0:
                return f"{role}: healthy: {asked.stdout.strip()}"
            time.sleep(0.5)
        raise RuntimeError(f"{role} did not become healthy: {asked.stdout}{asked.stderr}")


@contextlib.contextmanager
def _running(image: Image, role: Role, redis_url: str) -> Iterator[subprocess.Popen[bytes]]:
    user = last_of(image.stage, "USER").text
    command = COMMANDS[role] or last_of(image.stage, "CMD").listed()
    process = subprocess.Popen(
        ["unshare", "--mount", "/bin/sh", "-ec", _INSIDE, "sh", str(image.root), user, *command],
        env=_environment(image, redis_url),
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _entered(pid: int, image: Image) -> list[str]:
    """A command in the mounts of that process, as its user."""
    user = last_of(image.stage, "USER").text
    enter = [
        "nsenter",
        f"--target={pid}",
        "--mount",
        "/usr/sbin/chroot",
        f"--userspec={user}:{user}",
        str(image.root),
    ]
    return [*enter, "/bin/sh", "-c", 'cd /srv && exec "$@"', "sh"]


def _environment(image: Image, redis_url: str) -> dict[str, str]:
    """The least settings with which a process starts; none reaches CI."""
    return image.environment | {
        "REDIS_URL": redis_url,
        "PORT": "21600",
        "COS_SECRET_ID": "rehearsal",
        "COS_SECRET_KEY": "rehearsal",
        "COS_REGION": "ap-chongqing",
        "COS_BUCKET": "demo-1250000000",
        "CALLBACK_KEYS": f"k1:{'r' * 32}",
        "CI_ENDPOINT": "http://127.0.0.1:9",
        "SPOOL_DIR": "/tmp/spool",  # noqa: S108 - the tmpfs of the rehearsal
    }
