"""Virtual hosts with their own addresses, and partitions between them. Used only inside ``chaos.hosts.namespaces``.

Two networks: the front has CI and the downstream, the back has Redis. Only the back is partitioned: an
isolated host is attached to another bridge, so that packets to it are lost without an error.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.hosts.namespaces import RUN, tool

_IP = tool("ip") or "ip"
_FRONT, _BACK, _ISLAND = "front", "back", "island"
_PREFIX = {_FRONT: "10.78.0", _BACK: "10.79.0"}
US = f"{_PREFIX[_FRONT]}.1"
"""The address of the sender and of the downstream."""


@dataclass(frozen=True, slots=True)
class Host:
    """A network namespace with one interface in each network."""

    name: str
    number: int

    @property
    def front(self) -> str:
        return f"{_PREFIX[_FRONT]}.{self.number}"

    @property
    def back(self) -> str:
        return f"{_PREFIX[_BACK]}.{self.number}"

    def command(self, words: Sequence[str]) -> list[str]:
        """The command that runs these words on this host."""
        return [_IP, "netns", "exec", self.name, *words]


class VirtualNetwork:
    """The bridges, and the hosts that are attached to them."""

    def __init__(self) -> None:
        self._hosts = 0
        _run(tool("mount") or "mount", "-t", "tmpfs", "none", str(RUN))
        _ip("link set lo up")
        for switch in (_FRONT, _BACK, _ISLAND):
            _ip(f"link add {switch} type bridge")
            _ip(f"link set {switch} up")
        for switch, prefix in _PREFIX.items():
            _ip(f"address add {prefix}.1/24 dev {switch}")

    def host(self, name: str) -> Host:
        """A new host, attached to both networks."""
        self._hosts += 1
        host = Host(name, 10 + self._hosts)
        _ip(f"netns add {name}")
        _ip(f"-n {name} link set lo up")
        for switch, address in ((_FRONT, host.front), (_BACK, host.back)):
            _ip(f"link add {_port(switch, host)} type veth peer name {switch} netns {name}")
            _ip(f"-n {name} address add {address}/24 dev {switch}")
            _ip(f"-n {name} link set {switch} up")
            _ip(f"link set {_port(switch, host)} master {switch} up")
        return host

    def partition(self, hosts: Iterable[Host]) -> None:
        """Isolate these hosts in the back network; they still reach each other."""
        for host in hosts:
            _ip(f"link set {_port(_BACK, host)} master {_ISLAND}")

    def reconnect(self, hosts: Iterable[Host]) -> None:
        for host in hosts:
            _ip(f"link set {_port(_BACK, host)} master {_BACK}")

    def separate(self, host: Host, others: Iterable[Host]) -> None:
        """Drop packets from this host to the others; all other traffic is unaffected."""
        for other in others:
            _ip(f"-n {host.name} route add blackhole {other.back}/32")

    def rejoin(self, host: Host, others: Iterable[Host]) -> None:
        for other in others:
            _ip(f"-n {host.name} route del blackhole {other.back}/32")


def _port(switch: str, host: Host) -> str:
    # Linux allows 15 characters for an interface name.
    return f"{switch[0]}-{host.name}"


def _ip(words: str) -> None:
    _run(_IP, *words.split())


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
