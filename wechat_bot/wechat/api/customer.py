"""API calls for customer-service messages (``wechat-platform.md`` section 7.4)."""

from __future__ import annotations

from typing import Any

from ._http import Http
from .outgoing import Sendable

TYPING_ALREADY = 45081
"""Errcode for a typing state that is set already."""


class Customer:
    def __init__(self, http: Http) -> None:
        self._http = http

    def send(self, openid: str, reply: Sendable, *, kf_account: str = "", ai: bool = False) -> None:
        """Send `reply` to a follower (section 7.4, message/custom/send).

        :param kf_account: the agent who is shown as the sender, or empty.
        :param ai: whether to mark the message as written by an AI.
        :raises WindowClosed: if the follower's last message does not permit another one.
        """
        body: dict[str, Any] = {"touser": openid, **reply.to_customer_message()}
        if kf_account:
            body["customservice"] = {"kf_account": kf_account}
        if ai:
            body["aimsgcontext"] = {"is_ai_msg": 1}
        self._http.post("/cgi-bin/message/custom/send", body)

    def typing(self, openid: str, on: bool = True) -> None:
        """Show or hide "typing…" if the follower wrote within 30 s (section 7.4, message/custom/typing)."""
        body = {"touser": openid, "command": "Typing" if on else "CancelTyping"}
        self._http.post("/cgi-bin/message/custom/typing", body, accept=(TYPING_ALREADY,))
