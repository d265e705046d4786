"""Pages for followers, in WeChat's browser: who the visitor is, and WeChat's functions in JavaScript.

Without AppID and AppSecret the platform is played, its page that asks the visitor included.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

from flask import Blueprint, abort, current_app, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from ...security import same_origin
from ...testing import OPENID, FakeAPI, FileStore
from ...web_pages import BASE, JSSDK, JSSDK_POLICY, USERINFO, Visitor, jssdk_config, oauth_required
from ...wechat.api import WeChatClient
from ...wechat.credentials import Credentials
from ...wechat.errors import APIError
from ...wiring import services
from . import source

bp = Blueprint("follower_pages", __name__, url_prefix="/demo/followers")

AUTHORIZE = "https://open.weixin.qq.com/connect/oauth2/authorize"
PLAYED = Credentials(tokens=("demo",), app_id="wx0000000000000000", app_secret="0" * 32)
SHARED = ("updateAppMessageShareData", "updateTimelineShareData")


def client() -> WeChatClient:
    """That of the account, or one that talks to the played platform."""
    own = services().client
    return own or WeChatClient(PLAYED, "https://api.weixin.qq.com", played().transport)


def played() -> FakeAPI:
    """The platform for visitors without one; all processes share it."""
    return FakeAPI(PLAYED, store=FileStore(Path(current_app.instance_path) / "demo_platform"))


def is_played() -> bool:
    return services().client is None


@bp.context_processor
def tell_whether_played() -> dict[str, bool]:
    return {"played": is_played()}


@bp.get("/")
def index() -> str:
    sources = [source.of_function(view) for view in (me, profile, share)]
    return render_template("demos/followers/index.html", sources=source.by_file(sources))


@bp.get("/me")
@oauth_required(client=client)
def me(visitor: Visitor) -> str:
    return render_template("demos/followers/visitor.html", visitor=visitor)


@bp.get("/profile")
@oauth_required(USERINFO, client=client)
def profile(visitor: Visitor) -> str:
    return render_template("demos/followers/visitor.html", visitor=visitor)


@bp.get("/share")
def share() -> ResponseReturnValue:
    try:
        config = jssdk_config(*SHARED, client=client)
    except APIError as error:
        abort(502, _("微信没有给出签名：%(error)s", error=error))
    response = make_response(
        render_template("demos/followers/share.html", config=json.dumps(config, indent=2), script=JSSDK)
    )
    response.headers["Content-Security-Policy"] = JSSDK_POLICY
    return response


# The played platform


@bp.after_request
def stay_here(response: Response) -> Response:
    """Whoever is sent to WeChat comes to its played page."""
    if is_played() and (response.location or "").startswith(AUTHORIZE):
        response.location = url_for(".consent") + response.location.removeprefix(AUTHORIZE)
    return response


@bp.route("/consent", methods=["GET", "POST"])
@same_origin
def consent() -> ResponseReturnValue:
    """What WeChat shows at `AUTHORIZE`: nothing for `BASE`, else a question."""
    target, state = request.values.get("redirect_uri", ""), request.values.get("state", "")
    if not is_played():
        abort(404)
    if not target.startswith(request.host_url):
        abort(400, _("只转到本站的网址。"))
    scope = request.values.get("scope", BASE)
    if request.method == "GET" and scope != BASE:
        return render_template("demos/followers/consent.html")
    granted = scope == BASE or "allow" in request.form
    answer = {"code": played().authorise(OPENID, scope), "state": state} if granted else {"state": state}
    return redirect(f"{target}{'&' if '?' in target else '?'}{urlencode(answer)}", 303)
