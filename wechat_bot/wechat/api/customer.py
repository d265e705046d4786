"""Customer-service messages (``wechat-platform.md`` section 7.4)."""

from __future__ import annotations

from ..replies import Reply
from ._http import Http


class Customer:
    def __init__(self, http: Http) -> None:
        self._http = http

    def send(self, openid: str, reply: Reply) -> None:
        """Send `reply` to a follower, within the window that his last message opened.

        https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage.html
        """
        self._http.post("/cgi-bin/message/custom/send", {"touser": openid, **reply.to_customer_message()})
