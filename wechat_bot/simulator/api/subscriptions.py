"""One-time subscriptions and subscription notices (section 7.13)."""

from __future__ import annotations

import re

from ..state import SimulatedFollower, SimulatedTemplate
from .call import Answer, Area, CallRefused, Family, SimulatedCall, new_secret
from .templates import DATA, MINI_PROGRAM, check_data, find

family = Family(Area.NOTICES)

_TITLES = {"101": "预约成功通知", "102": "订单发货通知", "103": "账户变动提醒"}
_KEYWORDS = {1: "名称", 2: "时间", 3: "地点", 4: "备注", 5: "状态"}
_MAX_TEMPLATES = 25


def acceptance(template_id: str, scene: int | None = None) -> str:
    """The name under which a follower's acceptance is kept; one-time subscriptions have a scene."""
    return template_id if scene is None else f"{template_id} {scene}"


def _spend(call: SimulatedCall, key: str) -> SimulatedFollower:
    """Who is written to, with one acceptance less; he need not follow."""
    follower = call.follower(call.body["touser"])
    if not follower.accepted.get(key):
        raise CallRefused(43101)
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
def send_once(call: SimulatedCall) -> Answer:
    body = call.body
    if not 0 <= int(body["scene"]) <= 10_000:
        raise CallRefused(40097)
    if len(body["title"]) > 15:
        raise CallRefused(45003)
    if len(body["data"]["content"]["value"]) > 200:
        raise CallRefused(45002)
    follower = _spend(call, acceptance(body["template_id"], int(body["scene"])))
    call.deliver(follower.openid)
    return None


@family.post(
    "/cgi-bin/message/subscribe/bizsend",
    {"touser": str, "template_id": str, "page?": str, "miniprogram?": MINI_PROGRAM, "data": DATA},
)
def send(call: SimulatedCall) -> Answer:
    template_id = call.body["template_id"]
    check_data(find(call.state, template_id, subscription=True), call.body["data"])
    follower = _spend(call, acceptance(template_id))
    call.deliver(follower.openid)
    sent = {"TemplateId": template_id, "MsgID": call.state.new_id(), "ErrorCode": 0}
    call.notify_typing(
        "subscribe_msg_sent_event",
        follower.openid,
        SubscribeMsgSentEvent={"List": sent | {"ErrorStatus": "success"}},
    )
    return None


@family.post("/wxaapi/newtmpl/addtemplate", {"tid": str, "kidList": [int], "sceneDesc?": str})
def add(call: SimulatedCall) -> Answer:
    tid, numbers = call.body["tid"], [int(number) for number in call.body["kidList"]]
    if tid not in _TITLES:
        raise CallRefused(200014)
    if not 2 <= len(numbers) <= 5 or not _KEYWORDS.keys() >= set(numbers):
        raise CallRefused(200020)
    if len(call.body.get("sceneDesc", "")) > 15:
        raise CallRefused(200021)
    if len(_templates(call)) >= _MAX_TEMPLATES:
        raise CallRefused(200012)
    content = "\n".join(f"{_KEYWORDS[n]}:{{{{thing{n}.DATA}}}}" for n in numbers)
    example = "\n".join(f"{_KEYWORDS[n]}:示例" for n in numbers)
    template = SimulatedTemplate(new_secret()[:43], _TITLES[tid], content, example, subscription=True)
    call.state.templates.append(template)
    return {"errcode": 0, "errmsg": "ok", "priTmplId": template.template_id}


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
    return {"errcode": 0, "errmsg": "ok", "data": templates}


@family.post("/wxaapi/newtmpl/deltemplate", {"priTmplId": str})
def delete(call: SimulatedCall) -> Answer:
    call.state.templates.remove(find(call.state, call.body["priTmplId"], subscription=True))
    return None


@family.get("/wxaapi/newtmpl/getcategory")
def categories(call: SimulatedCall) -> Answer:
    return {"errcode": 0, "errmsg": "ok", "data": [{"id": 616, "name": "生活服务"}]}


@family.get("/wxaapi/newtmpl/getpubtemplatetitles", {"ids": str, "start": int, "limit": int})
def titles(call: SimulatedCall) -> Answer:
    start, limit = int(call.query["start"]), int(call.query["limit"])
    if not re.fullmatch(r"\d+(,\d+)*", call.query["ids"]):
        raise CallRefused(200018)
    if not 1 <= limit <= 30:
        raise CallRefused(200017)
    every = [
        {"tid": int(tid), "title": title, "type": 2, "categoryId": "616"} for tid, title in _TITLES.items()
    ]
    return {"errcode": 0, "errmsg": "ok", "count": len(every), "data": every[start : start + limit]}


@family.get("/wxaapi/newtmpl/getpubtemplatekeywords", {"tid": str})
def keywords(call: SimulatedCall) -> Answer:
    if call.query["tid"] not in _TITLES:
        raise CallRefused(200014)
    data = [{"kid": kid, "name": name, "example": "示例", "rule": "thing"} for kid, name in _KEYWORDS.items()]
    return {"errcode": 0, "errmsg": "ok", "count": len(data), "data": data}
