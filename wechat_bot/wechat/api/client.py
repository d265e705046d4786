"""The client: a family of the API is an attribute."""

from __future__ import annotations

from ..credentials import Credentials
from ._http import Http, Transport
from .customer import Customer


class WeChatClient:
    """``client.customer.send(openid, TextReply("在吗"))``; every method raises APIError."""

    def __init__(self, credentials: Credentials, base_url: str, transport: Transport | None = None) -> None:
        http = Http(credentials, base_url, transport)
        self.customer = Customer(http)
