"""For your own pages that followers open in WeChat: who the visitor is, and WeChat's functions in JavaScript.

::

    @bp.get("/orders")
    @oauth_required()
    def orders(visitor: Visitor) -> str:
        return render_template("orders.html", orders=orders_of(visitor.openid))

    @bp.get("/poster")
    def poster() -> str:
        return render_template("poster.html", config=jssdk_config("updateAppMessageShareData"))

The names ``code`` and ``state`` in the query of such a page belong to WeChat (``wechat-platform.md`` sections
7.19 and 7.20).
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
REMEMBERED = 7 * 86400
"""Seconds for which a visitor need not be asked again."""
SNAPSHOT_REMEMBERED = 300
"""The same for one who is not real."""
JSSDK = "https://res.wx.qq.com/open/js/jweixin-1.6.0.js"
"""The script that has ``wx.config``."""
JSSDK_POLICY = HEADERS["Content-Security-Policy"].replace(
    "script-src 'self'", "script-src 'self' https://res.wx.qq.com"
)
"""The Content-Security-Policy of a page with `JSSDK`."""

_VISITOR, _STATE = "wechat_visitor", "wechat_state"


@dataclass(frozen=True)
class Visitor:
    """Who opened a page. Name and picture need the scope snsapi_userinfo; a snapshot visitor is not real."""

    openid: str
    unionid: str = ""
    nickname: str = ""
    headimgurl: str = ""
    is_snapshot: bool = False


def app_client() -> WeChatClient:
    """The client of the account; 503 when AppID or AppSecret are missing."""
    client = services().client
    return client or abort(503, _("还没有配置 AppID 和 AppSecret：填进 .env 后重启即可。"))


def oauth_required(
    scope: str = BASE, client: Callable[[], WeChatClient] = app_client
) -> Callable[[Callable[Concatenate[Visitor, P], ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Give a view, below its route, the visitor; who is unknown goes to WeChat and comes back.

    `scope` is `BASE` (the openid, nobody is asked) or `USERINFO` (name and picture, the visitor is asked; let
    a tap lead to such a page, or WeChat shows a snapshot with a made-up visitor). The visitor is remembered
    in the session for `REMEMBERED` seconds. A sign-in counts only in the browser that began it: its state is
    random, and in the session. A session that somebody planted tells them nothing: it is the signed cookie
    itself, and another one after the sign-in. Requests other than GET are answered with 401 when the visitor
    is unknown.
    """

    def decorate(
        view: Callable[Concatenate[Visitor, P], ResponseReturnValue],
    ) -> Callable[P, ResponseReturnValue]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if visitor := _remembered(scope):
                return view(visitor, *args, **kwargs)
            if request.method not in {"GET", "HEAD"}:
                abort(401)
            if "state" in request.args:
                _remember(_identify(client(), scope), scope)
                target = _address()
            else:
                state = session.setdefault(_STATE, secrets.token_hex(16))
                target = client().oauth.authorize_url(_address(), scope, state)
            response = redirect(target, 303)
            response.headers["Cache-Control"] = "no-store"
            return response

        return guarded

    return decorate


def jssdk_config(
    *apis: str, open_tags: tuple[str, ...] = (), client: Callable[[], WeChatClient] = app_client
) -> dict[str, Any]:
    """The argument of ``wx.config`` for the page that this request is for; APIError.

    The page's domain must be registered in the platform's console, and its address reach us unchanged.
    """
    query = request.query_string.decode("latin-1")  # as it came: every character counts
    page = iri_to_uri(request.base_url)
    config = client().jssdk.config(f"{page}?{query}" if query else page)
    return {**config, "jsApiList": list(apis), "openTagList": list(open_tags)}


def _remembered(scope: str) -> Visitor | None:
    known = session.get(_VISITOR)
    if known is None or known["until"] < time.time() or scope not in {BASE, known["scope"]}:
        return None
    return Visitor(**known["visitor"])


def _remember(visitor: Visitor, scope: str) -> None:
    until = time.time() + (SNAPSHOT_REMEMBERED if visitor.is_snapshot else REMEMBERED)
    session.pop(_STATE)
    session[_VISITOR] = {"visitor": asdict(visitor), "scope": scope, "until": until}


def _identify(client: WeChatClient, scope: str) -> Visitor:
    """Who came back from WeChat, to the browser that had been sent there."""
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
        shown = client.oauth.user(granted.access_token, granted.openid)
    except AuthorizationEnded:
        abort(400, _("这次授权已经用过或过期：重新打开这个页面。"))
    except APIError as error:
        current_app.logger.warning("a visitor could not be identified: %s", error)
        abort(502, _("微信现在没有回答是谁：过一会儿再试。"))
    return Visitor(
        granted.openid,
        shown.unionid or granted.unionid,
        shown.nickname,
        shown.headimgurl,
        visitor.is_snapshot,
    )


def _address() -> str:
    """This page as the browser shows it, without what WeChat added."""
    query = [(name, value) for name, value in request.args.items(multi=True) if name not in {"code", "state"}]
    page = iri_to_uri(request.base_url)
    return f"{page}?{urlencode(query)}" if query else page
