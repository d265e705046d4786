"""HTTP transport with a deadline for a whole call, in addition to the time-outs for each byte."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore2
import httpx2

_ends_at: ContextVar[float] = ContextVar("ends_at")


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let reads and writes of a `network` transport time out after `seconds` in total."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def network(
    proxy: str = "", max_connections: int = 100, *, public_only: bool = False
) -> httpx2.HTTPTransport:
    """Return an HTTP transport, through `proxy` unless empty. Proxies of the environment are not used.

    :param public_only: whether connections are made to public addresses alone. Others raise an
        `httpx2.ConnectError` whose cause is `NotPublic`.
    """
    limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=20)
    transport = httpx2.HTTPTransport(proxy=proxy or None, limits=limits)
    # The library restarts its time-outs with every byte, and has no public option for a total time-out.
    transport._pool._network_backend = _PublicBackend() if public_only else _Backend()
    return transport


class NotPublic(httpcore2.ConnectError):
    """A host has an address that is private, of this machine, or reserved."""


class _Backend(httpcore2.SyncBackend):
    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
        return _Stream(super().connect_tcp(*args, **kwargs))


class _PublicBackend(_Backend):
    """Connects to the address that was checked, so that another answer of the name server changes nothing."""

    def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
        return super().connect_tcp(_public_address(host, port), port, *args, **kwargs)


def _public_address(host: str, port: int) -> str:
    """Return the first address of `host`.

    :raises NotPublic: if one of its addresses is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error
    addresses = [str(info[4][0]) for info in found]
    if not all(map(_is_public, addresses)):
        raise NotPublic(host)
    return addresses[0]


def _is_public(text: str) -> bool:
    """Whether an address, and the IPv4 address that is embedded in one of IPv6, are public."""
    address = ipaddress.ip_address(text.partition("%")[0])
    found = [address]
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo[1] if address.teredo else None
        nat64 = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
        found += [inner for inner in (address.ipv4_mapped, address.sixtofour, teredo, nat64) if inner]
    return all(each.is_global and not each.is_multicast for each in found)


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _limited(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _limited(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _limited(timeout: float | None) -> float:
    """Return `timeout`, limited to the seconds before the deadline; not 0, which would mean not to wait."""
    left = max(_ends_at.get(float("inf")) - time.monotonic(), 0.001)
    return left if timeout is None else min(timeout, left)
