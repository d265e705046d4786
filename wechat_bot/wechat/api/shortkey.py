"""Short keys for long data (``wechat-platform.md`` section 7.15)."""

from __future__ import annotations

from dataclasses import dataclass

from ._http import Http
from .values import given, read


@dataclass(frozen=True)
class Stored:
    """`create_time` is in seconds since 1970, `expire_seconds` is what is left."""

    long_data: str
    create_time: int = 0
    expire_seconds: int = 0


class ShortKey:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, long_data: str, expire_seconds: int = 0) -> str:
        """The key of 15 characters for at most 4 KB, for at most 30 days (section 7.15, shorten/gen)."""
        body = {"long_data": long_data, **given(expire_seconds=expire_seconds or None)}
        answer = self._http.post("/cgi-bin/shorten/gen", body)
        return read(str, answer.get("short_key"), "short_key")

    def fetch(self, short_key: str) -> Stored:
        """What a key stands for (section 7.15, shorten/fetch)."""
        body = {"short_key": short_key}
        return read(Stored, self._http.post("/cgi-bin/shorten/fetch", body, idempotent=True))
