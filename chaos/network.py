"""Hosts with addresses of their own, and cables that can be pulled. Only ever used inside ``chaos.namespaces``.

Two networks: the front, where CI and the downstream are, and the back, where Redis is. A cut is made in the back: what
is cut off is plugged into another switch, so that packets to it vanish and nobody is told.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.namespaces import RUN, tool

_IP = tool("ip") or "ip"
_FRONT, _BACK, _ISLAND = "front", "back", "island"
_PREFIX = {_FRONT: "10.78.0", _BACK: "10.79.0"}
US = f"{_PREFIX[_FRONT]}.1"
"""Where the sender and the downstream are."""


@dataclass(frozen=True, slots=True)
class Host:
    """A network namespace with one cable into each network."""

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


class Network:
    """The switches, and the hosts that are plugged into them."""

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
        """Another host, plugged into both networks."""
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

    def cut_off(self, hosts: Iterable[Host]) -> None:
        """These reach each other in the back network, and nobody else there."""
        for host in hosts:
            _ip(f"link set {_port(_BACK, host)} master {_ISLAND}")

    def mend(self, hosts: Iterable[Host]) -> None:
        for host in hosts:
            _ip(f"link set {_port(_BACK, host)} master {_BACK}")

    def part(self, host: Host, others: Iterable[Host]) -> None:
        """Whatever this host sends to these vanishes; everybody else reaches it, and them."""
        for other in others:
            _ip(f"-n {host.name} route add blackhole {other.back}/32")

    def join(self, host: Host, others: Iterable[Host]) -> None:
        for other in others:
            _ip(f"-n {host.name} route del blackhole {other.back}/32")


def _port(switch: str, host: Host) -> str:
    # A name of an interface has 15 characters at most.
    return f"{switch[0]}-{host.name}"


def _ip(words: str) -> None:
    _run(_IP, *words.split())


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
