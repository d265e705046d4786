"""Customer-service messages (``wechat-platform.md`` section 7.4)."""

from __future__ import annotations

from typing import Any

from ._http import Http
from .outgoing import Sendable

TYPING_ALREADY = 45081


class Customer:
    def __init__(self, http: Http) -> None:
        self._http = http

    def send(self, openid: str, reply: Sendable, *, kf_account: str = "", ai: bool = False) -> None:
        """Send `reply` to a follower, within the window that his last message opened: as the agent
        `kf_account`, and marked as written by an AI (section 7.4, message/custom/send)."""
        body: dict[str, Any] = {"touser": openid, **reply.to_customer_message()}
        if kf_account:
            body["customservice"] = {"kf_account": kf_account}
        if ai:
            body["aimsgcontext"] = {"is_ai_msg": 1}
        self._http.post("/cgi-bin/message/custom/send", body)

    def typing(self, openid: str, on: bool = True) -> None:
        """Show or hide "typing…" to whoever wrote within 30 s (section 7.4, message/custom/typing)."""
        body = {"touser": openid, "command": "Typing" if on else "CancelTyping"}
        self._http.post("/cgi-bin/message/custom/typing", body, accept=(TYPING_ALREADY,))
