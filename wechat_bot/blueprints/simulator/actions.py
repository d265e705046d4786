"""What the buttons do."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ...simulator import scenarios as conversations
from ...simulator.journal import Choices, DeliveryScenario, PushFault
from ...simulator.state import APIFault as APIFault
from ...simulator.state import APIFaultKind, PlatformState
from ...wechat import xml
from ...wechat.account_kinds import AccountKind
from ...wechat.errors import MalformedMessage
from ...wechat.xml import Fields
from . import bp, forms
from .api import keep_media
from .dependencies import base_url, journal, platform_api, push_delivery, store
from .labels import ACCOUNT_KINDS, API_FAULTS
from .page import SHOWN, stored

MEDIA = {"image", "voice", "video"}
SLOW_SECONDS = 15
"""So late the API's answer is that comes too late."""


@bp.post("/push")
def push() -> ResponseReturnValue:
    openid = _known_openid()
    try:
        fields = forms.read(request.form)
        kind = str(fields.get("MsgType"))
        if kind in MEDIA and "MediaId" not in fields:
            fields |= keep_media(kind, request.files.get("file"), base_url())
        _begin(openid, fields)
    except MalformedMessage as error:
        abort(400, _("这不是一条消息：%(problem)s", problem=error))
    return _back(openid)


@bp.post("/scan")
def scan() -> ResponseReturnValue:
    """Whoever does not follow yet does so by scanning (section 10.5)."""
    openid, scene = _known_openid(), request.form.get("scene", "").strip()
    follower = next(each for each in journal().followers() if each.openid == openid)
    if follower.subscribed:
        fields = {"Event": "SCAN", "EventKey": scene}
    else:
        fields = {"Event": "subscribe", "EventKey": f"qrscene_{scene}"}
    _begin(openid, {"MsgType": "event", **fields, "Ticket": "gQH8exampleTicket=="})
    return _back(openid)


@bp.post("/exchanges/<int:exchange_id>/repeat")
def repeat(exchange_id: int) -> ResponseReturnValue:
    """The same push byte by byte, or the same message as if it were written again."""
    exchange = journal().exchange(exchange_id) or abort(404)
    if "exactly" in request.form:
        push_delivery(exchange.openid).repeat(exchange.openid, exchange.request)
    else:
        _begin(exchange.openid, _without_head(exchange.fields))
    return _back(exchange.openid)


@bp.post("/messages/<int:message_id>/repeat")
def repeat_stored(message_id: int) -> ResponseReturnValue:
    """A message that the bot recorded, as if its follower had written it again."""
    row = stored(message_id) or abort(404)
    journal().add_follower(row.openid)
    _begin(row.openid, _without_head(row.payload))
    return _back(row.openid)


@bp.post("/followers")
def add_follower() -> ResponseReturnValue:
    return _back(journal().add_follower(subscribed=False).openid)


@bp.post("/choices")
def choose() -> ResponseReturnValue:
    form = request.form
    try:
        choices = Choices(
            form.get("mode", ""), PushFault(form.get("fault", "")), DeliveryScenario(form.get("course", ""))
        )
    except ValueError:
        abort(400)
    journal().choose(choices)
    return _back(_known_openid())


@bp.post("/account")
def set_account() -> ResponseReturnValue:
    kind = request.form.get("kind", "")
    if kind not in ACCOUNT_KINDS:
        abort(400)
    with store().opened() as state:
        state.account.kind = AccountKind(kind)
    return _back(_known_openid())


@bp.post("/clock")
def advance() -> ResponseReturnValue:
    """Move the API's clock forward, or set it right; pushes keep the right time, or the bot refuses them."""
    seconds = request.form.get("seconds", type=int)
    with store().opened() as state:
        state.clock_offset = state.clock_offset + seconds if seconds else 0
    return _back(_known_openid())


@bp.post("/fault")
def fail() -> ResponseReturnValue:
    """Let calls of the API go wrong: a number is an errcode."""
    kind, form = request.form.get("fault", ""), request.form
    if "expire" in form:
        platform_api().expire_tokens()
    elif kind in API_FAULTS:
        fault = (
            APIFault(APIFaultKind(kind), seconds=SLOW_SECONDS)
            if kind in set(APIFaultKind)
            else APIFault(APIFaultKind.ERRCODE, int(kind))
        )
        fault.times = form.get("times", 1, type=int)
        platform_api().fail(fault, form.get("path", "*"))
    return _back(_known_openid())


@bp.post("/events")
def push_due() -> ResponseReturnValue:
    """Push what the API has announced: results of mass sendings, publications, templates."""
    openid = _known_openid()
    for event in platform_api().take_events():
        _begin(event.openid or openid, {"MsgType": "event", "Event": event.name, **event.fields})
    return _back(openid)


@bp.post("/reset")
def reset() -> ResponseReturnValue:
    """Forget all followers and exchanges, and the state of the API."""
    journal().clear()
    with store().opened() as state:
        vars(state).update(vars(PlatformState()))
    return redirect(url_for("simulator.phone"), 303)


@bp.get("/conversation.yaml")
def conversation() -> Response:
    """What a follower said and got, to be played again by ``flask wechat play``."""
    openid = request.args.get("follower", "")
    steps = [
        conversations.recorded(_without_head(each.fields), each.answered, failed=each.outcome == "notice")
        for each in journal().exchanges(openid, SHOWN)
        if each.over
    ]
    text = conversations.dump(conversations.Scenario(_("模拟器里的对话"), tuple(steps)))
    response = Response(text, mimetype="application/yaml")
    response.headers["Content-Disposition"] = "attachment; filename=conversation.yaml"
    return response


def _begin(openid: str, fields: Fields) -> None:
    """Push `fields` for a follower; MalformedMessage if they make no XML."""
    bearer = push_delivery(openid)
    fields = conversations.complete(bearer.platform, fields)
    xml.parse(xml.build(fields).encode())
    bearer.begin(fields)
    if (event := str(fields.get("Event", "")).lower()) in {"subscribe", "unsubscribe"}:
        journal().set_subscribed(openid, event == "subscribe")


def _without_head(fields: Any) -> Fields:
    return {name: value for name, value in fields.items() if name not in conversations.HEAD}


def _known_openid() -> str:
    openid = request.form.get("follower", "")
    if openid not in {each.openid for each in journal().followers()}:
        abort(404)
    return openid


def _back(follower: str) -> ResponseReturnValue:
    """The page again, on which the last exchange is looked at."""
    return redirect(url_for("simulator.phone", follower=follower, tab=request.form.get("tab") or None), 303)
