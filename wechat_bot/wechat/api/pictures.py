"""Pictures of followers at the address that their push names (``wechat-platform.md`` section 3.3)."""

from __future__ import annotations

import re
from functools import cached_property

from ..credentials import Credentials
from ..errors import Unreachable
from ._http import MAX_FILE_BYTES, Download, Http, Transport

_OF_THE_PLATFORM = re.compile(r"https?://([a-z0-9-]+\.)*(qpic\.cn|weixin\.qq\.com)/", re.IGNORECASE)
"""No other host is asked: in plain mode a push may have been changed on its way."""


class Pictures:
    """Every account may fetch them, also one without an API. Connects when it is first used."""

    def __init__(self, credentials: Credentials, transport: Transport | None = None, proxy: str = "") -> None:
        self._credentials = credentials
        self._transport = transport
        self._proxy = proxy

    def fetch(self, url: str, max_bytes: int = MAX_FILE_BYTES) -> Download:
        """The picture at a PicUrl; APIError."""
        if not _OF_THE_PLATFORM.match(url):
            raise Unreachable("the picture's address is not one of the platform's", delivered=False)
        return self._http.fetch(url, max_bytes)

    @cached_property
    def _http(self) -> Http:
        return Http(self._credentials, "", self._transport, proxy=self._proxy)
