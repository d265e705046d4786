"""Information about the account and the platform (sections 1.10, 6.8, 7.17, 7.20, 7.22)."""

from __future__ import annotations

import re

from ..state import JsTicket
from .call import OK, Answer, Area, CallRefused, Family, SimulatedCall, new_secret, refuse_if

family = Family(Area.ANY)


@family.get("/cgi-bin/getcallbackip")
def callback_addresses(call: SimulatedCall) -> Answer:
    return {"ip_list": ["127.0.0.1", "101.226.103.0/25"]}


@family.get("/cgi-bin/get_api_domain_ip")
def api_addresses(call: SimulatedCall) -> Answer:
    return {"ip_list": ["127.0.0.1", "101.89.47.0/25"]}


@family.post("/cgi-bin/callback/check", {"action": str, "check_operator": str})
def check_callback(call: SimulatedCall) -> Answer:
    action = call.body["action"]
    refuse_if(not call.state.account.callback_url, 40201)
    refuse_if(action not in {"dns", "ping", "all"}, 40202)
    refuse_if(call.body["check_operator"] not in {"CHINANET", "UNICOM", "CAP", "DEFAULT"}, 40203)
    answer = {
        "dns": [{"ip": "203.0.113.9", "real_operator": "UNICOM"}],
        "ping": [{"ip": "203.0.113.9", "from_operator": "UNICOM", "package_loss": "0%", "time": "23.079ms"}],
    }
    return {name: part for name, part in answer.items() if action in {name, "all"}}


@family.get("/cgi-bin/get_current_autoreply_info")
def autoreplies(call: SimulatedCall) -> Answer:
    none = {"is_add_friend_reply_open": 0, "is_autoreply_open": 0, "keyword_autoreply_info": {"list": []}}
    return {**none, **call.state.auto_replies}


@family.get("/cgi-bin/ticket/getticket", {"type": str})
def js_ticket(call: SimulatedCall) -> Answer:
    """Return the same ticket while it is valid."""
    kind = call.query["type"]
    refuse_if(kind not in {"jsapi", "wx_card"}, 40097)
    ticket = call.state.js_tickets.get(kind)
    if ticket is None or call.now >= ticket.ends:
        ticket = call.state.js_tickets[kind] = JsTicket(new_secret(), call.now + 7200)
    return {**OK, "ticket": ticket.value, "expires_in": round(ticket.ends - call.now)}


@family.post("/cgi-bin/openapi/rid/get", {"rid": str})
def failed_call(call: SimulatedCall) -> Answer:
    rid = call.body["rid"]
    failed = call.state.failed.get(rid)
    if failed is None or not re.fullmatch(r"[0-9a-f]+-[0-9a-f]{8}-[0-9a-f]{8}", rid):
        raise CallRefused(76001)
    refuse_if(call.now > failed.at + 7 * 86400, 76002)
    request = {
        "invoke_time": int(failed.at),
        "cost_in_ms": 1,
        "request_url": failed.url,
        "request_body": failed.request,
        "response_body": failed.response,
        "client_ip": failed.ip,
    }
    return {**OK, "request": request}
