"""HTTP transport with a deadline for a whole call, in addition to the time-outs for each byte."""

from __future__ import annotations

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


def network(proxy: str) -> httpx2.HTTPTransport:
    """Return an HTTP transport, through `proxy` unless empty. Proxies of the environment are not used."""
    transport = httpx2.HTTPTransport(proxy=proxy or None)
    # The library restarts its time-outs with every byte, and has no public option for a total time-out.
    transport._pool._network_backend = _Backend()
    return transport


class _Backend(httpcore2.SyncBackend):
    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
        return _Stream(super().connect_tcp(*args, **kwargs))


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
