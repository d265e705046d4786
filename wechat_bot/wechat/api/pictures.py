"""Download of followers' pictures from the URL in their push (``wechat-platform.md`` section 3.3)."""

from __future__ import annotations

import re
from functools import cached_property

from ..credentials import Credentials
from ..errors import Unreachable
from ._http import MAX_FILE_BYTES, Http, Transport
from ._responses import Download

_PLATFORM_URL = re.compile(r"https?://([a-z0-9-]+\.)*(qpic\.cn|weixin\.qq\.com)/", re.IGNORECASE)
"""URLs of the platform. Other hosts are not accessed, since a push in plain mode may be forged."""


class Pictures:
    """Downloads pictures, which needs no API permissions. The HTTP client is created on first use."""

    def __init__(self, credentials: Credentials, transport: Transport | None = None, proxy: str = "") -> None:
        self._credentials = credentials
        self._transport = transport
        self._proxy = proxy

    def fetch(self, url: str, max_bytes: int = MAX_FILE_BYTES) -> Download:
        """Return the picture at `url`, the PicUrl of a message.

        :raises APIError: if the host is not the platform's, or the download fails.
        """
        if not _PLATFORM_URL.match(url):
            raise Unreachable("the picture's address is not one of the platform's", delivered=False)
        return self._http.fetch(url, max_bytes)

    @cached_property
    def _http(self) -> Http:
        return Http(self._credentials, "", self._transport, proxy=self._proxy)
