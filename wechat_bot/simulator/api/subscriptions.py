"""One-time subscriptions and subscription notices (section 7.13)."""

from __future__ import annotations

import re

from ..state import SimulatedFollower, SimulatedTemplate
from .call import OK, Answer, Area, Family, SimulatedCall, new_secret, refuse_if
from .templates import DATA, MINI_PROGRAM, check_data, template_of

family = Family(Area.NOTICES)

_TITLES = {"101": "预约成功通知", "102": "订单发货通知", "103": "账户变动提醒"}
_KEYWORDS = {1: "名称", 2: "时间", 3: "地点", 4: "备注", 5: "状态"}
_MAX_TEMPLATES = 25


def acceptance_key(template_id: str, scene: int | None = None) -> str:
    """Return the key of `SimulatedFollower.accepted`. One-time subscriptions have a scene."""
    return template_id if scene is None else f"{template_id} {scene}"


def _use_acceptance(call: SimulatedCall, key: str) -> SimulatedFollower:
    """Use up one acceptance of the recipient, who need not be a follower.

    :raises CallRefused: if there is none left.
    """
    follower = call.follower(call.body["touser"])
    refuse_if(not follower.accepted.get(key), 43101)
    follower.accepted[key] -= 1
    return follower


@family.post(
    "/cgi-bin/message/template/subscribe",
    {
        "touser": str,
        "template_id": str,
        "url?": str,
        "miniprogram?": MINI_PROGRAM,
        "scene": int,
        "title": str,
        "data": {"content": {"value": str, "color?": str}},
    },
    area=Area.ONE_TIME,
)
def send_once(call: SimulatedCall) -> None:
    body = call.body
    refuse_if(not 0 <= int(body["scene"]) <= 10_000, 40097)
    refuse_if(len(body["title"]) > 15, 45003)
    refuse_if(len(body["data"]["content"]["value"]) > 200, 45002)
    follower = _use_acceptance(call, acceptance_key(body["template_id"], int(body["scene"])))
    call.deliver(follower.openid)


@family.post(
    "/cgi-bin/message/subscribe/bizsend",
    {"touser": str, "template_id": str, "page?": str, "miniprogram?": MINI_PROGRAM, "data": DATA},
)
def send(call: SimulatedCall) -> None:
    template_id = call.body["template_id"]
    check_data(template_of(call.state, template_id, subscription=True), call.body["data"])
    follower = _use_acceptance(call, acceptance_key(template_id))
    call.deliver(follower.openid)
    sent = {"TemplateId": template_id, "MsgID": call.state.new_id(), "ErrorCode": 0}
    call.schedule_event(
        "subscribe_msg_sent_event",
        follower.openid,
        SubscribeMsgSentEvent={"List": sent | {"ErrorStatus": "success"}},
    )


@family.post("/wxaapi/newtmpl/addtemplate", {"tid": str, "kidList": [int], "sceneDesc?": str})
def add(call: SimulatedCall) -> Answer:
    tid, numbers = call.body["tid"], [int(number) for number in call.body["kidList"]]
    refuse_if(tid not in _TITLES, 200014)
    refuse_if(not 2 <= len(numbers) <= 5 or not _KEYWORDS.keys() >= set(numbers), 200020)
    refuse_if(len(call.body.get("sceneDesc", "")) > 15, 200021)
    refuse_if(len(_templates(call)) >= _MAX_TEMPLATES, 200012)
    content = "\n".join(f"{_KEYWORDS[n]}:{{{{thing{n}.DATA}}}}" for n in numbers)
    example = "\n".join(f"{_KEYWORDS[n]}:示例" for n in numbers)
    template = SimulatedTemplate(new_secret()[:43], _TITLES[tid], content, example, subscription=True)
    call.state.templates.append(template)
    return {**OK, "priTmplId": template.template_id}


def _templates(call: SimulatedCall) -> list[SimulatedTemplate]:
    return [template for template in call.state.templates if template.subscription]


@family.get("/wxaapi/newtmpl/gettemplate")
def list_templates(call: SimulatedCall) -> Answer:
    templates = [
        {
            "priTmplId": template.template_id,
            "title": template.title,
            "content": template.content,
            "example": template.example,
            "type": 2,
        }
        for template in _templates(call)
    ]
    return {**OK, "data": templates}


@family.post("/wxaapi/newtmpl/deltemplate", {"priTmplId": str})
def delete(call: SimulatedCall) -> None:
    call.state.templates.remove(template_of(call.state, call.body["priTmplId"], subscription=True))


@family.get("/wxaapi/newtmpl/getcategory")
def categories(call: SimulatedCall) -> Answer:
    return {**OK, "data": [{"id": 616, "name": "生活服务"}]}


@family.get("/wxaapi/newtmpl/getpubtemplatetitles", {"ids": str, "start": int, "limit": int})
def titles(call: SimulatedCall) -> Answer:
    start, limit = int(call.query["start"]), int(call.query["limit"])
    refuse_if(not re.fullmatch(r"\d+(,\d+)*", call.query["ids"]), 200018)
    refuse_if(not 1 <= limit <= 30, 200017)
    found = [
        {"tid": int(tid), "title": title, "type": 2, "categoryId": "616"} for tid, title in _TITLES.items()
    ]
    return {**OK, "count": len(found), "data": found[start : start + limit]}


@family.get("/wxaapi/newtmpl/getpubtemplatekeywords", {"tid": str})
def keywords(call: SimulatedCall) -> Answer:
    refuse_if(call.query["tid"] not in _TITLES, 200014)
    data = [{"kid": kid, "name": name, "example": "示例", "rule": "thing"} for kid, name in _KEYWORDS.items()]
    return {**OK, "count": len(data), "data": data}
