"""Support for web pages that followers open in WeChat: OAuth sign-in of visitors, and the JS-SDK.

::

    @bp.get("/orders")
    @oauth_required()
    def orders(visitor: Visitor) -> str:
        return render_template("orders.html", orders=orders_of(visitor.openid))

    @bp.get("/poster")
    def poster() -> str:
        return render_template("poster.html", config=jssdk_config("updateAppMessageShareData"))

The query parameters ``code`` and ``state`` of such a page are reserved for WeChat (``wechat-platform.md``
sections 7.19 and 7.20).
"""

from __future__ import annotations

import functools
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from flask import abort, current_app, redirect, request, session
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.urls import iri_to_uri

from .security import HEADERS
from .wechat.api import WeChatClient
from .wechat.errors import APIError, AuthorizationEnded
from .wiring import services

P = ParamSpec("P")

BASE, USERINFO = "snsapi_base", "snsapi_userinfo"
VISITOR_TTL = 7 * 86400
"""Seconds for which a visitor stays signed in."""
SNAPSHOT_TTL = 300
"""The same for a snapshot visitor."""
JSSDK = "https://res.wx.qq.com/open/js/jweixin-1.6.0.js"
"""URL of the script that defines ``wx.config``."""
JSSDK_POLICY = HEADERS["Content-Security-Policy"].replace(
    "script-src 'self'", "script-src 'self' https://res.wx.qq.com"
)
"""The Content-Security-Policy of a page that loads `JSSDK`."""

_VISITOR, _STATE = "wechat_visitor", "wechat_state"


@dataclass(frozen=True)
class Visitor:
    """The follower who opened a page.

    Name and picture need the scope snsapi_userinfo. A snapshot visitor is a made-up identity, which WeChat
    gives to pages in its snapshot mode.
    """

    openid: str
    unionid: str = ""
    nickname: str = ""
    headimgurl: str = ""
    is_snapshot: bool = False


def app_client() -> WeChatClient:
    """Return the client of the account. Answers with 503 when AppID or AppSecret are missing."""
    return services().client or abort(503, _("还没有配置 AppID 和 AppSecret：填进 .env 后重启即可。"))


def oauth_required(
    scope: str = BASE, client: Callable[[], WeChatClient] = app_client
) -> Callable[[Callable[Concatenate[Visitor, P], ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Decorate a view, below its route, so that it gets the visitor as its first argument.

    An unknown visitor is redirected to WeChat and back. Requests other than GET and HEAD of unknown visitors
    are answered with 401. The visitor is stored in the session for `VISITOR_TTL` seconds.

    A sign-in is valid only in the browser that began it, because its random state is in the session. An
    attacker who plants a session learns nothing from it: the session is the signed cookie itself, and the
    sign-in replaces it.

    :param scope: `BASE` for the openid, without a question to the visitor, or `USERINFO` for name and
        picture, for which WeChat asks the visitor. A page with `USERINFO` should be opened by a tap, because
        WeChat otherwise shows it as a snapshot with a made-up visitor.
    """

    def decorate(
        view: Callable[Concatenate[Visitor, P], ResponseReturnValue],
    ) -> Callable[P, ResponseReturnValue]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if visitor := _load_visitor(scope):
                return view(visitor, *args, **kwargs)
            if request.method not in {"GET", "HEAD"}:
                abort(401)
            if "state" in request.args:
                _store_visitor(_identify(client(), scope), scope)
                target = _page_url()
            else:
                state = session.setdefault(_STATE, secrets.token_hex(16))
                target = client().oauth.authorize_url(_page_url(), scope, state)
            response = redirect(target, 303)
            response.headers["Cache-Control"] = "no-store"
            return response

        return guarded

    return decorate


def jssdk_config(
    *apis: str, open_tags: tuple[str, ...] = (), client: Callable[[], WeChatClient] = app_client
) -> dict[str, Any]:
    """Return the argument of ``wx.config`` for the page of the current request.

    The domain of the page must be registered in the platform's console, and a proxy must not change its URL.

    :raises APIError: if the platform issues no ticket.
    """
    query = request.query_string.decode("latin-1")  # unchanged, because the URL is signed
    page = iri_to_uri(request.base_url)
    config = client().jssdk.config(f"{page}?{query}" if query else page)
    return {**config, "jsApiList": list(apis), "openTagList": list(open_tags)}


def _load_visitor(scope: str) -> Visitor | None:
    stored = session.get(_VISITOR)
    if stored is None or stored["until"] < time.time() or scope not in {BASE, stored["scope"]}:
        return None
    return Visitor(**stored["visitor"])


def _store_visitor(visitor: Visitor, scope: str) -> None:
    until = time.time() + (SNAPSHOT_TTL if visitor.is_snapshot else VISITOR_TTL)
    session.pop(_STATE)
    session[_VISITOR] = {"visitor": asdict(visitor), "scope": scope, "until": until}


def _identify(client: WeChatClient, scope: str) -> Visitor:
    """Return the visitor who came back from WeChat. Aborts if the state or the code is invalid."""
    expected, state = session.get(_STATE, ""), request.args["state"]
    if not expected or not hmac.compare_digest(expected.encode(), state.encode()):
        abort(403, _("这次登录不是从这个浏览器开始的：重新打开这个页面。"))
    if "code" not in request.args:
        abort(403, _("没有同意授权。"))
    try:
        granted = client.oauth.exchange(request.args["code"])
        visitor = Visitor(granted.openid, granted.unionid, is_snapshot=granted.is_snapshotuser)
        if scope == BASE:
            return visitor
        profile = client.oauth.user(granted.access_token, granted.openid)
    except AuthorizationEnded:
        abort(400, _("这次授权已经用过或过期：重新打开这个页面。"))
    except APIError as error:
        current_app.logger.warning("a visitor could not be identified: %s", error)
        abort(502, _("微信现在没有回答是谁：过一会儿再试。"))
    return Visitor(
        granted.openid,
        profile.unionid or granted.unionid,
        profile.nickname,
        profile.headimgurl,
        visitor.is_snapshot,
    )


def _page_url() -> str:
    """Return the URL of the current page without the parameters that WeChat added."""
    query = [(name, value) for name, value in request.args.items(multi=True) if name not in {"code", "state"}]
    page = iri_to_uri(request.base_url)
    return f"{page}?{urlencode(query)}" if query else page
