"""A primary, two replicas and three sentinels on three hosts, configured as docs/deploy.md advises."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from chaos.network import Host
from chaos.processes import Kept
from stack import valkey as embedded

SERVICE = "chaos"
_PORT, _SENTINEL_PORT = 6379, 26379
_SERVER = """\
port {port}
bind {address}
protected-mode no
min-replicas-to-write 1
min-replicas-max-lag 10
"""
_SENTINEL = """\
port {sentinel_port}
bind {address}
protected-mode no
dir "{folder}"
sentinel monitor {service} {primary} {port} 2
sentinel down-after-milliseconds {service} 3000
sentinel failover-timeout {service} 4000
"""


class Cluster:
    """Three hosts, a server and a sentinel on each. The first is the primary at first."""

    def __init__(self, hosts: Sequence[Host], folder: Path) -> None:
        self.hosts = hosts
        self._servers = {host: self._server(host, folder / host.name) for host in hosts}
        self._sentinels = {host: self._sentinel(host, folder / host.name) for host in hosts}

    @property
    def url(self) -> str:
        addresses = ",".join(f"{host.back}:{_SENTINEL_PORT}" for host in self.hosts)
        return f"redis+sentinel://{addresses}/{SERVICE}"

    def primary(self) -> Host | None:
        """The one that most sentinels name, if it is one and both others follow it."""
        named = [self._named_by(host) for host in self.hosts]
        for host in self.hosts:
            if named.count(host.back) == len(self.hosts) and _replicas(host) == len(self.hosts) - 1:
                return host
        return None

    def kill(self, host: Host) -> None:
        """Everything on that host dies, and stays down until ``start``."""
        for kept in (self._servers[host], self._sentinels[host]):
            kept.held = True
            kept.kill()

    def start(self, host: Host) -> None:
        for kept in (self._servers[host], self._sentinels[host]):
            kept.held = False

    def close(self) -> None:
        for kept in (*self._sentinels.values(), *self._servers.values()):
            kept.close()

    def _server(self, host: Host, folder: Path) -> Kept:
        config = folder / "valkey.conf"
        embedded.configure(config, folder / "s", folder / "data", fsync="always")
        text = _SERVER.format(port=_PORT, address=host.back)
        if host != self.hosts[0]:
            text += f"replicaof {self.hosts[0].back} {_PORT}\n"
        config.write_text(config.read_text() + text)
        return Kept("valkey", host.command([embedded.binary(), str(config)]), folder, dict(os.environ))

    def _sentinel(self, host: Host, folder: Path) -> Kept:
        config = folder / "sentinel.conf"
        config.write_text(
            _SENTINEL.format(
                sentinel_port=_SENTINEL_PORT,
                address=host.back,
                folder=folder,
                service=SERVICE,
                primary=self.hosts[0].back,
                port=_PORT,
            )
        )
        command = host.command([embedded.binary(), str(config), "--sentinel"])
        return Kept("sentinel", command, folder, dict(os.environ))

    def _named_by(self, host: Host) -> str | None:
        words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        answer: Any = _ask(host, _SENTINEL_PORT, words)
        return answer[0].decode() if isinstance(answer, list) else None


def _replicas(host: Host) -> int:
    """How many follow it, and are in step; 0 where it is no primary."""
    said: Any = _ask(host, _PORT, ("INFO", "replication"))
    if not isinstance(said, dict) or said.get("role") != "master":
        return 0
    followers = [said.get(f"slave{n}", {}) for n in range(int(said["connected_slaves"]))]
    return sum(follower.get("state") == "online" for follower in followers)


def _ask(host: Host, port: int, words: Sequence[str]) -> Any:
    client = Redis(host.back, port, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
    try:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]
    except RedisError:
        return None
    finally:
        client.close()
