"""Tickets and ``wx.config`` for web pages that use the JS-SDK (``wechat-platform.md`` section 7.20)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import KeysView
from dataclasses import asdict, dataclass

from ._http import Http
from .tokens import Token


@dataclass(frozen=True)
class Config:
    """The arguments of ``wx.config``, except its lists.

    ``{{ config|tojson }}`` and ``dict(config)`` are supported.
    """

    appId: str  # noqa: N815
    timestamp: int
    nonceStr: str  # noqa: N815
    signature: str

    def keys(self) -> KeysView[str]:
        return asdict(self).keys()

    def __getitem__(self, name: str) -> str | int:
        value: str | int = asdict(self)[name]
        return value


def sign(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """Return the signature for a page: SHA-1 in hex (section 7.20)."""
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    return hashlib.sha1(text.encode()).hexdigest()


class JSSDK:
    def __init__(self, http: Http) -> None:
        self._http = http

    def ticket(self, kind: str = "jsapi") -> str:
        """Return the account's ticket for pages, or for cards if `kind` is "wx_card".

        It is shared and renewed like the access token (section 7.20, ticket/getticket).
        """
        return self._http.tokens.get(kind, lambda: self._fetch(kind))

    def config(self, url: str) -> Config:
        """Return the arguments of ``wx.config`` for the page `url`, as the browser sees it (section 7.20)."""
        nonce, timestamp = secrets.token_hex(8), int(self._http.clock())
        page, _, _ = url.partition("#")
        signature = sign(self.ticket(), nonce, timestamp, page)
        return Config(self._http.credentials.app_id, timestamp, nonce, signature)

    def _fetch(self, kind: str) -> Token:
        return self._http.token_in(self._http.get("/cgi-bin/ticket/getticket", {"type": kind}), "ticket")
