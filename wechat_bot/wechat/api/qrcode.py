"""API calls for QR codes with parameters (``wechat-platform.md`` section 7.14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ._http import Http
from .values import convert


@dataclass(frozen=True)
class QRCode:
    """A QR code, whose content is `url`. It expires after `expire_seconds`; 0 means never."""

    ticket: str
    url: str = ""
    expire_seconds: int = 0


class QRCodes:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, scene: int | str, expire_seconds: int) -> QRCode:
        """Create a code for up to 30 days; `scene` is 1 to 2^32-1, or 1 to 64 characters (section 7.14,
        qrcode/create)."""
        return self._create("QR_SCENE", "QR_STR_SCENE", scene, expire_seconds=expire_seconds)

    def create_permanent(self, scene: int | str) -> QRCode:
        """Create one of up to 100 000 permanent codes (section 7.14, qrcode/create).

        `scene` is 1 to 100 000, or 1 to 64 characters.
        """
        return self._create("QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE", scene)

    def picture_url(self, ticket: str) -> str:
        """Return the public URL of the code as a JPEG (section 7.14, showqrcode)."""
        return f"https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket={quote(ticket, safe='')}"

    def _create(self, number: str, text: str, scene: int | str, **more: int) -> QRCode:
        name, key = (number, "scene_id") if isinstance(scene, int) else (text, "scene_str")
        body: dict[str, Any] = {**more, "action_name": name, "action_info": {"scene": {key: scene}}}
        return convert(QRCode, self._http.post("/cgi-bin/qrcode/create", body))
