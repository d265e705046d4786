"""Hosts as network namespaces of this machine, joined by a bridge; or this machine alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from ..tools import Missing, program

NETWORK = f"10.199.{os.getpid() % 256}"
"""The addresses, which those of another process hardly have, too."""
PREFIX = f"drill{os.getpid()}"
"""Begins the names of what is made, which have at most 15 characters."""


@dataclass(frozen=True)
class Host:
    """Where programs run: `inside` is put before their commands."""

    name: str
    address: str
    inside: tuple[str, ...] = ()

    def cut(self) -> None:
        """Drop all packets from and to this host."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        _ip("link", "set", self.cable, "up")

    @property
    def cable(self) -> str:
        """The end of its network cable on this machine."""
        return f"{self.name}0"


THIS = Host("this", "127.0.0.1")


@contextmanager
def network() -> Iterator[tuple[Host, list[Host]]]:
    """Yield this machine as it is seen by the others, and two hosts.

    :raises Missing: where network namespaces are not permitted.
    """
    program("ip", "apt install iproute2")
    with ExitStack() as stack:
        stack.callback(_remove, "link", "del", PREFIX)
        _ip("link", "add", PREFIX, "type", "bridge")
        _ip("addr", "add", f"{NETWORK}.1/24", "dev", PREFIX)
        _ip("link", "set", PREFIX, "up")
        hosts = []
        for number, name in enumerate((f"{PREFIX}-a", f"{PREFIX}-b"), 11):
            host = Host(name, f"{NETWORK}.{number}", ("ip", "netns", "exec", name))
            stack.callback(_remove, "netns", "del", name)
            _connect(host)
            hosts.append(host)
        yield Host("this", f"{NETWORK}.1"), hosts


def _connect(host: Host) -> None:
    _ip("netns", "add", host.name)
    _ip("link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", host.name)
    _ip("link", "set", host.cable, "master", PREFIX)
    _ip("link", "set", host.cable, "up")
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
