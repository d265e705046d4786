"""API calls for short keys, which stand for longer data (``wechat-platform.md`` section 7.15)."""

from __future__ import annotations

from dataclasses import dataclass

from ._http import Http
from .values import convert, convert_field, given


@dataclass(frozen=True)
class Stored:
    """The data of a key. `create_time` is Unix time in seconds, `expire_seconds` the remaining time."""

    long_data: str
    create_time: int = 0
    expire_seconds: int = 0


class ShortKey:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, long_data: str, expire_seconds: int = 0) -> str:
        """Return a key of 15 characters for up to 4 KB of data (section 7.15, shorten/gen).

        It is valid for up to 30 days; `expire_seconds` 0 means the platform's default.
        """
        body = {"long_data": long_data, **given(expire_seconds=expire_seconds or None)}
        return convert_field(str, self._http.post("/cgi-bin/shorten/gen", body), "short_key")

    def fetch(self, short_key: str) -> Stored:
        """Return the data of a key (section 7.15, shorten/fetch)."""
        body = {"short_key": short_key}
        return convert(Stored, self._http.post("/cgi-bin/shorten/fetch", body, idempotent=True))
