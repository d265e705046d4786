"""The API client, which has an attribute for each family of calls."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..credentials import Credentials
from ._http import Call, Http, Transport
from .comments import Comments
from .customer import Customer
from .datacube import DataCube
from .draft import Draft
from .jssdk import JSSDK
from .kfaccount import KfAccount
from .mass import Mass
from .material import Material
from .media import Media
from .menu import Menu
from .oauth import OAuth
from .publish import Publish
from .qrcode import QRCodes
from .shortkey import ShortKey
from .subscribe import Subscribe
from .system import System
from .tags import Tags
from .templates import Templates
from .tokens import TokenStore
from .users import Users


class WeChatClient:
    """The API client of one account: ``client.customer.send(openid, TextReply("在吗"))``. Thread-safe.

    Every method that makes a call raises `APIError` if it fails.

    :param proxy: an http:// or https:// URL, or empty for a direct connection.
    :param store: keeps the tokens; those of this process only, by default.
    :param observe: is called after every call, and must not raise.

    Tests replace `transport`, `clock` and `sleep`.
    """

    def __init__(
        self,
        credentials: Credentials,
        base_url: str,
        transport: Transport | None = None,
        *,
        proxy: str = "",
        store: TokenStore | None = None,
        observe: Callable[[Call], None] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http = Http(
            credentials,
            base_url,
            transport,
            proxy=proxy,
            store=store,
            observe=observe,
            clock=clock,
            sleep=sleep,
        )
        self.users = Users(http)
        self.tags = Tags(http)
        self.menu = Menu(http)
        self.customer = Customer(http)
        self.kfaccount = KfAccount(http)
        self.media = Media(http)
        self.material = Material(http)
        self.draft = Draft(http)
        self.publish = Publish(http)
        self.mass = Mass(http)
        self.templates = Templates(http)
        self.subscribe = Subscribe(http)
        self.qrcode = QRCodes(http)
        self.shortkey = ShortKey(http)
        self.comments = Comments(http)
        self.datacube = DataCube(http)
        self.oauth = OAuth(http)
        self.jssdk = JSSDK(http)
        self.system = System(http)

    def close(self) -> None:
        """Close the connections. No call may be made afterwards."""
        self._http.close()
