"""A primary, two replicas and three sentinels on three hosts, configured as in docs/deploy.md."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from chaos.hosts.network import Host
from chaos.processes import Supervised
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
    """Three hosts with a server and a sentinel each. The first host starts as the primary."""

    def __init__(self, hosts: Sequence[Host], folder: Path) -> None:
        self.hosts = hosts
        self._servers = {host: self._server(host, folder / host.name) for host in hosts}
        self._sentinels = {host: self._sentinel(host, folder / host.name) for host in hosts}

    @property
    def url(self) -> str:
        addresses = ",".join(f"{host.back}:{_SENTINEL_PORT}" for host in self.hosts)
        return f"redis+sentinel://{addresses}/{SERVICE}"

    def primary(self) -> Host | None:
        """The host that all sentinels name, if it is a primary with two replicas online; else None."""
        named = [self._named_by(host) for host in self.hosts]
        for host in self.hosts:
            if named.count(host.back) == len(self.hosts) and _replicas(host) == len(self.hosts) - 1:
                return host
        return None

    def kill(self, host: Host) -> None:
        """Kill the server and the sentinel of that host; they stay down until ``start``."""
        for kept in (self._servers[host], self._sentinels[host]):
            kept.held = True
            kept.kill()

    def start(self, host: Host) -> None:
        for kept in (self._servers[host], self._sentinels[host]):
            kept.held = False

    def close(self) -> None:
        for kept in (*self._sentinels.values(), *self._servers.values()):
            kept.close()

    def _server(self, host: Host, folder: Path) -> Supervised:
        config = folder / "valkey.conf"
        embedded.write_config(config, folder / "s", folder / "data", fsync="always")
        text = _SERVER.format(port=_PORT, address=host.back)
        if host != self.hosts[0]:
            text += f"replicaof {self.hosts[0].back} {_PORT}\n"
        config.write_text(config.read_text() + text)
        return Supervised("valkey", host.command([embedded.binary(), str(config)]), folder, dict(os.environ))

    def _sentinel(self, host: Host, folder: Path) -> Supervised:
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
        return Supervised("sentinel", command, folder, dict(os.environ))

    def _named_by(self, host: Host) -> str | None:
        words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        answer: Any = _ask(host, _SENTINEL_PORT, words)
        return answer[0].decode() if isinstance(answer, list) else None


def _replicas(host: Host) -> int:
    """The number of its replicas that are online; 0 if it is not a primary."""
    info: Any = _ask(host, _PORT, ("INFO", "replication"))
    if not isinstance(info, dict) or info.get("role") != "master":
        return 0
    followers = [info.get(f"slave{n}", {}) for n in range(int(info["connected_slaves"]))]
    return sum(follower.get("state") == "online" for follower in followers)


def _ask(host: Host, port: int, words: Sequence[str]) -> Any:
    client = Redis(host.back, port, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
    try:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]
    except RedisError:
        return None
    finally:
        client.close()
