"""Template messages (section 7.12)."""

from __future__ import annotations

import re
from typing import Any

from ..state import PlatformState, SimulatedTemplate
from .call import OK, Answer, Area, Family, SimulatedCall, find, new_secret, refuse_if

family = Family(Area.TEMPLATES)

_KEYWORD = re.compile(r"\{\{(\w+)\.DATA\}\}")

DATA = {str: {"value": str, "color?": str}}
MINI_PROGRAM = {"appid": str, "pagepath?": str, "path?": str}


def template_of(state: PlatformState, template_id: str, *, subscription: bool) -> SimulatedTemplate:
    templates = (template for template in state.templates if template.subscription is subscription)
    return find((template for template in templates if template.template_id == template_id), 40037)


def check_data(template: SimulatedTemplate, data: dict[str, Any]) -> None:
    """Check that every keyword of the template has a value.

    :raises CallRefused: with 47003, which names the keyword without one.
    """
    for keyword in _KEYWORD.findall(template.content):
        refuse_if(
            not data.get(keyword, {}).get("value"), 47003, f"argument invalid! data.{keyword}.value is empty"
        )


@family.post(
    "/cgi-bin/message/template/send",
    {
        "touser": str,
        "template_id": str,
        "url?": str,
        "miniprogram?": MINI_PROGRAM,
        "client_msg_id?": str,
        "data": DATA,
    },
)
def send(call: SimulatedCall) -> Answer:
    follower = call.recipient(call.body["touser"])
    check_data(template_of(call.state, call.body["template_id"], subscription=False), call.body["data"])
    client_id = call.body.get("client_msg_id")
    msgid = _sent_before(call, client_id) if client_id else None
    if msgid is None:
        msgid = call.state.new_id()
        if client_id:
            call.state.client_msg_ids[client_id] = (msgid, call.now)
        if not follower.refuses:
            call.deliver(follower.openid)
        status = "failed:user block" if follower.refuses else "success"
        call.schedule_event("TEMPLATESENDJOBFINISH", follower.openid, MsgID=msgid, Status=status)
    return {**OK, "msgid": msgid}


def _sent_before(call: SimulatedCall, client_id: str) -> int | None:
    """Return the msgid of a message with the same client_msg_id in the last ten minutes, or None.

    :raises CallRefused: if it was sent in the last minute.
    """
    msgid, at = call.state.client_msg_ids.get(client_id, (0, 0.0))
    refuse_if(call.now < at + 60, 40241)
    return msgid if call.now < at + 600 else None


_INDUSTRIES = {str(number) for number in range(1, 42)}


@family.post("/cgi-bin/template/api_set_industry", {"industry_id1": str, "industry_id2": str})
def set_industries(call: SimulatedCall) -> None:
    industries = [call.body["industry_id1"], call.body["industry_id2"]]
    refuse_if(not _INDUSTRIES.issuperset(industries), 40097)
    refuse_if(call.state.industry_month == call.month, 43100)
    call.state.industries, call.state.industry_month = industries, call.month


@family.get("/cgi-bin/template/get_industry")
def industries(call: SimulatedCall) -> Answer:
    first, second = call.state.industries or ["1", "1"]
    return {"primary_industry": _industry(first), "secondary_industry": _industry(second)}


def _industry(number: str) -> dict[str, str]:
    return {"first_class": "IT科技", "second_class": f"行业 {number}"}


@family.post("/cgi-bin/template/api_add_template", {"template_id_short": str, "keyword_name_list?": [str]})
def add(call: SimulatedCall) -> Answer:
    refuse_if(len([template for template in call.state.templates if not template.subscription]) >= 25, 45026)
    short, names = call.body["template_id_short"], call.body.get("keyword_name_list", ["内容"])
    content = "\n".join(f"{name}:{{{{thing{n}.DATA}}}}" for n, name in enumerate(names, 1))
    template = SimulatedTemplate(new_secret()[:43], f"模板 {short}", content)
    call.state.templates.append(template)
    return {**OK, "template_id": template.template_id}


@family.get("/cgi-bin/template/get_all_private_template")
def list_templates(call: SimulatedCall) -> Answer:
    return {
        "template_list": [
            {
                "template_id": template.template_id,
                "title": template.title,
                "primary_industry": "IT科技",
                "deputy_industry": "互联网|电子商务",
                "content": template.content,
                "example": template.example,
            }
            for template in call.state.templates
            if not template.subscription
        ]
    }


@family.post("/cgi-bin/template/del_private_template", {"template_id": str})
def delete(call: SimulatedCall) -> None:
    call.state.templates.remove(template_of(call.state, call.body["template_id"], subscription=False))


@family.post("/wxa/sec/queryblocktmplmsg", {"tmpl_msg_id": str, "largest_id?": int, "limit?": int})
def blocked(call: SimulatedCall) -> Answer:
    """The simulator blocks no messages."""
    return {**OK, "msginfo": []}
