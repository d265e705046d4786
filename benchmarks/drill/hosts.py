"""Hosts as network namespaces of this machine, joined by a bridge; or this machine alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from ..tools import Missing, program

NETWORK = "10.199.0"


@dataclass(frozen=True)
class Host:
    """Where programs run: `inside` is put before their commands."""

    name: str
    address: str
    inside: tuple[str, ...] = ()

    def cut(self) -> None:
        """Drop all packets from and to this host."""
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        _ip("link", "set", self._cable, "up")

    @property
    def _cable(self) -> str:
        return f"{self.name}-cable"


THIS = Host("this", "127.0.0.1")


@contextmanager
def network(names: list[str]) -> Iterator[tuple[Host, list[Host]]]:
    """Yield this machine as it is seen by the others, and hosts with these names.

    :raises Missing: where network namespaces are not permitted.
    """
    program("ip", "apt install iproute2")
    with ExitStack() as stack:
        bridge = f"drill{os.getpid()}"
        stack.callback(_remove, "link", "del", bridge)
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{NETWORK}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        hosts = []
        for number, name in enumerate(names, 11):
            host = Host(name, f"{NETWORK}.{number}", ("ip", "netns", "exec", name))
            stack.callback(_remove, "netns", "del", name)
            _connect(host, bridge)
            hosts.append(host)
        yield Host("this", f"{NETWORK}.1"), hosts


def _connect(host: Host, bridge: str) -> None:
    cable = f"{host.name}-cable"
    _ip("netns", "add", host.name)
    _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host.name)
    _ip("link", "set", cable, "master", bridge)
    _ip("link", "set", cable, "up")
    _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
    _ip("-n", host.name, "link", "set", "eth0", "up")
    _ip("-n", host.name, "link", "set", "lo", "up")


def _ip(*arguments: str) -> None:
    try:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise Missing(f"network namespaces are not permitted here: {error.stderr.strip()}") from error


def _remove(*arguments: str) -> None:
    with suppress(Missing):
        _ip(*arguments)
