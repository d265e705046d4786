"""The simulator's forms: pushes of followers, and settings of the simulated platform."""

from __future__ import annotations

from flask import Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ...simulator import sample_console, scenarios
from ...simulator.journal import DeliveryOptions, DeliveryScenario, PushFault
from ...simulator.state import APIFault, APIFaultKind, PlatformState
from ...wechat import xml
from ...wechat.account_kinds import AccountKind
from ...wechat.errors import MalformedMessage
from ...wechat.xml import Fields
from ...wiring import services
from . import bp, forms
from .access import check_sender, in_production, may_speak_for
from .api import store_media
from .dependencies import base_url, flood_file, journal, platform_api, push_delivery, store
from .labels import ACCOUNT_KINDS, API_FAULTS, CLIENTS
from .page import MAX_EXCHANGES, stored_message

MEDIA = {"image", "voice", "video"}
MAX_CLOCK_OFFSET = 366 * 86400
"""Seconds by which the API's clock may be ahead."""
MAX_FAULTS = 1000
"""Number of calls that fail at most, once a fault is set."""
SLOW_SECONDS = 15
"""Delay of API responses that come too late, in seconds."""


@bp.post("/push")
def push() -> ResponseReturnValue:
    openid = _known_openid()
    try:
        fields = forms.read(request.form)
        kind = str(fields.get("MsgType"))
        if kind in MEDIA and "MediaId" not in fields:
            fields |= store_media(kind, request.files.get("file"), base_url())
        _push(openid, fields)
    except MalformedMessage as error:
        abort(400, _("这不是一条消息：%(problem)s", problem=error))
    return _back(openid)


@bp.post("/scan")
def scan() -> ResponseReturnValue:
    """Push a scan. It is a subscribe event for someone who does not follow (section 10.5)."""
    openid, scene = _known_openid(), request.form.get("scene", "").strip()
    follower = next(each for each in journal().followers() if each.openid == openid)
    if follower.subscribed:
        fields = {"Event": "SCAN", "EventKey": scene}
    else:
        fields = {"Event": "subscribe", "EventKey": f"qrscene_{scene}"}
    _push(openid, {"MsgType": "event", **fields, "Ticket": "gQH8exampleTicket=="})
    return _back(openid)


@bp.post("/menu")
def tap_menu() -> ResponseReturnValue:
    """Let the platform send what a button sends by itself, without a push."""
    openid = _known_openid()
    buttons, button = platform_api().menu_of(openid), None
    for place in request.form.get("place", "").split(".")[:2]:
        if place not in map(str, range(len(buttons))):
            abort(404)
        button = buttons[int(place)]
        buttons = button["sub_button"]
    platform_api().follower_tapped(openid, button or abort(404))
    return _back(openid)


@bp.post("/phone")
def change_phone() -> ResponseReturnValue:
    """Let a follower use another kind of phone, for which there may be another menu."""
    openid, client = _known_openid(), request.form.get("client", "")
    if client not in CLIENTS:
        abort(400)
    with store().opened() as state:
        if follower := state.followers.get(openid):
            follower.platform = client
    return _back(openid)


@bp.post("/exchanges/<int:exchange_id>/repeat")
def repeat(exchange_id: int) -> ResponseReturnValue:
    """Push the same request again, or the same fields as a new message."""
    exchange = journal().exchange(exchange_id) or abort(404)
    if "exactly" in request.form:
        push_delivery(exchange.openid).deliver(exchange.openid, exchange.request)
    else:
        _push(exchange.openid, scenarios.without_head(exchange.fields))
    return _back(exchange.openid)


@bp.post("/messages/<int:message_id>/repeat")
def repeat_stored(message_id: int) -> ResponseReturnValue:
    """Push a message that the bot recorded as a new message of its follower; in production, of a new one."""
    row = stored_message(message_id) or abort(404)
    openid = journal().add_follower("" if in_production() else row.openid or "").openid
    _push(openid, scenarios.without_head(row.payload))
    return _back(openid)


@bp.post("/followers")
def add_follower() -> ResponseReturnValue:
    return _back(journal().add_follower(subscribed=False).openid)


@bp.post("/choices")
def choose() -> ResponseReturnValue:
    form = request.form
    try:
        options = DeliveryOptions(
            form.get("mode", ""), PushFault(form.get("fault", "")), DeliveryScenario(form.get("course", ""))
        )
    except ValueError:
        abort(400)
    journal().save_options(options)
    return _back(_known_openid())


@bp.post("/account")
def set_account() -> ResponseReturnValue:
    kind = request.form.get("kind", "")
    if kind not in ACCOUNT_KINDS:
        abort(400)
    with store().opened() as state:
        state.account.kind = AccountKind(kind)
    services().capabilities.forget_responses(services().account_id)  # they were about the other kind
    return _back(_known_openid())


@bp.post("/console")
def set_up_console() -> ResponseReturnValue:
    """Set a menu and automatic replies in the platform's console, which the bot can import."""
    with store().opened() as state:
        state.menu, state.conditional_menus = [], []  # menus of the API take the place of that of the console
    sample_console.set_up(platform_api())
    return _back(_known_openid())


@bp.post("/clock")
def advance() -> ResponseReturnValue:
    """Move the API's clock forward, or reset it. Pushes keep the real time, because the bot checks it."""
    seconds = request.form.get("seconds", type=int)
    with store().opened() as state:
        ahead = int(state.clock_offset) + seconds if seconds else 0
        if not 0 <= ahead <= MAX_CLOCK_OFFSET:
            abort(400, _("时钟最多拨快 %(days)s 天。", days=MAX_CLOCK_OFFSET // 86400))
        state.clock_offset = ahead
    return _back(_known_openid())


@bp.post("/fault")
def fail() -> ResponseReturnValue:
    """Set a fault of the API, of which a number is an errcode, or let access tokens expire."""
    kind, form = request.form.get("fault", ""), request.form
    if "expire" in form:
        platform_api().expire_tokens()
    elif kind in API_FAULTS:
        fault = (
            APIFault(APIFaultKind(kind), seconds=SLOW_SECONDS)
            if kind in set(APIFaultKind)
            else APIFault(APIFaultKind.ERRCODE, int(kind))
        )
        fault.times = min(max(form.get("times", 1, type=int), 1), MAX_FAULTS)
        platform_api().fail(fault, form.get("path", "*"))
    return _back(_known_openid())


@bp.post("/events")
def push_due() -> ResponseReturnValue:
    """Push the events of the API that are due, such as results of mass sending, publishing and templates.

    In production, those of persons are left out.
    """
    openid = _known_openid()
    check_sender(openid)
    for event in platform_api().take_events():
        receiver = event.openid or openid
        if may_speak_for(receiver):
            _push(receiver, {"MsgType": "event", "Event": event.name, **event.fields})
    return _back(openid)


@bp.post("/reset")
def reset() -> ResponseReturnValue:
    """Delete all followers and exchanges, the latest flood, and the state of the API."""
    journal().clear()
    flood_file().clear()
    with store().opened() as state:
        vars(state).update(vars(PlatformState()))
    return redirect(url_for("simulator.phone"), 303)


@bp.get("/conversation.yaml")
def conversation() -> Response:
    """Download the exchanges of a follower as a scenario, which ``flask wechat play`` runs."""
    openid = request.args.get("follower", "")
    steps = [
        scenarios.step_from_push(
            each.fields, each.answered.reply if each.answered else None, failed=each.outcome == "notice"
        )
        for each in journal().exchanges(openid, MAX_EXCHANGES)
        if each.is_over
    ]
    text = scenarios.dump(scenarios.Scenario(_("模拟器里的对话"), tuple(steps)))
    headers = {"Content-Disposition": "attachment; filename=conversation.yaml"}
    return Response(text, mimetype="application/yaml", headers=headers)


def _push(openid: str, fields: Fields) -> None:
    """Push a new message or event of a follower.

    :raises MalformedMessage: if the fields cannot be written as XML.
    """
    delivery = push_delivery(openid)
    sender = {"FromUserName": openid} if in_production() else {}
    fields = scenarios.add_head(delivery.platform, fields | sender)
    try:
        xml.parse(xml.build(fields).encode())
    except RecursionError as error:
        raise MalformedMessage("elements are nested too deep") from error
    delivery.push(fields)
    if (event := str(fields.get("Event", "")).lower()) in {"subscribe", "unsubscribe"}:
        journal().set_subscribed(openid, event == "subscribe")


def _known_openid() -> str:
    openid = request.form.get("follower", "")
    if openid not in {each.openid for each in journal().followers()}:
        abort(404)
    return openid


def _back(follower: str) -> ResponseReturnValue:
    """Redirect to the page of a follower, which shows the latest exchange."""
    return redirect(url_for("simulator.phone", follower=follower, tab=request.form.get("tab") or None), 303)
