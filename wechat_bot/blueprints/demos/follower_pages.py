"""Demos of pages that followers open in WeChat: OAuth sign-in of visitors, and the JS-SDK.

Without AppID and AppSecret the platform is simulated, including its OAuth page.
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
from ...simulator.api import SimulatedAPI
from ...simulator.platform import OPENID
from ...simulator.store import FileStore
from ...web_pages import BASE, JSSDK, JSSDK_POLICY, USERINFO, Visitor, jssdk_config, oauth_required
from ...wechat.api import WeChatClient
from ...wechat.credentials import Credentials
from ...wechat.errors import APIError
from ...wiring import services
from . import source

bp = Blueprint("follower_pages", __name__, url_prefix="/demo/followers")

AUTHORIZE = "https://open.weixin.qq.com/connect/oauth2/authorize"
DEMO_CREDENTIALS = Credentials(tokens=("demo",), app_id="wx0000000000000000", app_secret="0" * 32)
SHARE_APIS = ("updateAppMessageShareData", "updateTimelineShareData")


def client() -> WeChatClient:
    """Return the client of the account, or else one of the simulated platform."""
    own = services().client
    return own or WeChatClient(DEMO_CREDENTIALS, "https://api.weixin.qq.com", simulated_api().transport)


def simulated_api() -> SimulatedAPI:
    """Return the simulated API, whose state all processes share."""
    return SimulatedAPI(DEMO_CREDENTIALS, store=FileStore(Path(current_app.instance_path) / "demo_platform"))


def is_simulated() -> bool:
    return services().client is None


@bp.context_processor
def inject_simulated() -> dict[str, bool]:
    return {"simulated": is_simulated()}


@bp.get("/")
def index() -> str:
    sources = source.by_file(map(source.of_function, (me, profile, share)))
    return render_template("demos/followers/index.html", sources=sources)


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
        config = jssdk_config(*SHARE_APIS, client=client)
    except APIError as error:
        abort(502, _("微信没有给出签名：%(error)s", error=error))
    response = make_response(
        render_template("demos/followers/share.html", config=json.dumps(config, indent=2), script=JSSDK)
    )
    response.headers["Content-Security-Policy"] = JSSDK_POLICY
    return response


# The simulated platform


@bp.after_request
def redirect_to_consent(response: Response) -> Response:
    """Replace redirects to WeChat by redirects to its simulated OAuth page."""
    if is_simulated() and (response.location or "").startswith(AUTHORIZE):
        response.location = url_for(".consent") + response.location.removeprefix(AUTHORIZE)
    return response


@bp.route("/consent", methods=["GET", "POST"])
@same_origin
def consent() -> ResponseReturnValue:
    """Simulate WeChat's page at `AUTHORIZE`, which asks the visitor unless the scope is `BASE`."""
    target, state = request.values.get("redirect_uri", ""), request.values.get("state", "")
    if not is_simulated():
        abort(404)
    if not target.startswith(request.host_url):
        abort(400, _("只转到本站的网址。"))
    scope = request.values.get("scope", BASE)
    if request.method == "GET" and scope != BASE:
        return render_template("demos/followers/consent.html")
    answer = {"state": state}
    if scope == BASE or "allow" in request.form:
        answer = {"code": simulated_api().authorise(OPENID, scope), **answer}
    return redirect(f"{target}{'&' if '?' in target else '?'}{urlencode(answer)}", 303)
