"""Mass sending (section 7.11)."""

from __future__ import annotations

from typing import Any

from ...wechat.account_kinds import AccountKind
from ..state import SimulatedFollower, SimulatedMass
from .call import Answer, Area, CallRefused, Family, SimulatedCall, find, refuse_if
from .customer import check_text

family = Family(Area.MASS_TO_ALL)

_KINDS: dict[str, tuple[str, Any]] = {
    "mpnews": ("mpnews", {"media_id": str}),
    "text": ("text", {"content": str}),
    "voice": ("voice", {"media_id": str}),
    "image": (
        "images",
        {"media_ids": [str], "recommend?": str, "need_open_comment?": int, "only_fans_can_comment?": int},
    ),
    "mpvideo": ("mpvideo", {"media_id": str, "title?": str, "description?": str}),
}
_MESSAGE = {"msgtype": str, **{f"{name}?": dict for name, _ in _KINDS.values()}, "wxcard?": dict}
_JOB = {**_MESSAGE, "send_ignore_reprint?": int, "clientmsgid?": str}
_SPEEDS = (800_000, 600_000, 450_000, 300_000, 100_000)
_SENDING_SECONDS = 2


@family.post("/cgi-bin/message/mass/sendall", {"filter": {"is_to_all?": bool, "tag_id?": int}, **_JOB})
def send_to_tag(call: SimulatedCall) -> Answer:
    refuse_if(call.state.account.kind is AccountKind.TEST, 45028)
    recipients = call.body["filter"]
    followers = [follower for follower in call.state.followers.values() if follower.subscribed]
    if not recipients.get("is_to_all"):
        tag_id = int(recipients.get("tag_id", 0))
        refuse_if(tag_id not in {tag.id for tag in call.state.tags}, 45159)
        followers = [follower for follower in followers if tag_id in follower.tags]
    return _send(call, followers)


@family.post("/cgi-bin/message/mass/send", {"touser": [str], **_JOB}, area=Area.MASS_TO_LIST)
def send_to_list(call: SimulatedCall) -> Answer:
    openids = call.body["touser"]
    refuse_if(len(openids) < 2, 40130)
    refuse_if(len(openids) > 10_000, 40032)
    return _send(call, [call.follower(openid) for openid in openids])


def _send(call: SimulatedCall, followers: list[SimulatedFollower]) -> Answer:
    client_id = call.body.get("clientmsgid", "")
    refuse_if(len(client_id.encode()) > 32, 45067)
    _check_repeated(call, client_id)
    _check_message(call)
    _check_quota(call)
    job = SimulatedMass(call.state.new_id(), client_id, call.now)
    call.state.mass.append(job)
    reached = [follower for follower in followers if _may_receive(call, follower)]
    for follower in reached:
        follower.mass_months[call.month] = follower.mass_months.get(call.month, 0) + 1
        call.deliver(follower.openid)
    call.schedule_event(
        "MASSSENDJOBFINISH",
        "",
        _SENDING_SECONDS,
        MsgID=job.msg_id,
        Status="send success",
        TotalCount=len(followers),
        FilterCount=len(reached),
        SentCount=len(reached),
        ErrorCount=0,
    )
    answer = {"errcode": 0, "errmsg": "send job submission success", "msg_id": job.msg_id}
    return answer | ({"msg_data_id": call.state.new_article()} if call.body["msgtype"] == "mpnews" else {})


def _check_repeated(call: SimulatedCall, client_id: str) -> None:
    """Refuse a repeated job for 24 hours. For the first minute the response has no msg_id."""
    for job in call.state.mass:
        if client_id and job.clientmsgid == client_id and call.now < job.at + 86400:
            refuse_if(call.now < job.at + 60, 45066)
            raise CallRefused(45065, msg_id=job.msg_id)


def _check_message(call: SimulatedCall) -> None:
    kind = call.body["msgtype"]
    refuse_if(kind == "wxcard", 45113)
    refuse_if(kind not in _KINDS, 40008)
    content = call.content(*_KINDS[kind])
    match kind:
        case "text":
            check_text(content["content"])
        case "mpnews" if content["media_id"] not in call.state.drafts:
            raise CallRefused(40007)
        case "voice":
            call.find_media(content["media_id"], "voice")
        case "mpvideo":
            call.find_media(content["media_id"], "video")
        case "image":
            for media_id in content["media_ids"]:
                call.find_media(media_id, "image")


def _check_quota(call: SimulatedCall) -> None:
    """A subscription account may send once a day."""
    if call.state.account.kind is AccountKind.VERIFIED_SUBSCRIPTION and any(
        int(job.at + 8 * 3600) // 86400 == int(call.now + 8 * 3600) // 86400 for job in call.state.mass
    ):
        raise CallRefused(45028)


def _may_receive(call: SimulatedCall, follower: SimulatedFollower) -> bool:
    """Whether the message reaches the follower. Messages of a service account do so four times a month."""
    limited = call.state.account.kind is AccountKind.VERIFIED_SERVICE
    used_up = limited and follower.mass_months.get(call.month, 0) >= 4
    return follower.subscribed and not (follower.blacklisted or follower.refuses or used_up)


@family.post("/cgi-bin/message/mass/preview", {"touser?": str, "towxname?": str, **_MESSAGE})
def preview(call: SimulatedCall) -> Answer:
    openid = call.body.get("touser", "")
    refuse_if(not openid and not call.body.get("towxname"), 40003)
    if openid:
        call.recipient(openid)
    _check_message(call)
    if openid:
        call.deliver(openid)
    return {"errcode": 0, "errmsg": "preview success", "msg_id": call.state.new_id()}


@family.post("/cgi-bin/message/mass/delete", {"msg_id?": int, "article_idx?": int, "url?": str})
def delete(call: SimulatedCall) -> None:
    if "msg_id" in call.body:
        _job(call, call.body["msg_id"]).deleted = True
    elif not call.body.get("url"):
        raise CallRefused(47001)


@family.post("/cgi-bin/message/mass/get", {"msg_id": int})
def status(call: SimulatedCall) -> Answer:
    job = _job(call, call.body["msg_id"])
    sending = call.now < job.at + _SENDING_SECONDS
    state = "DELETE" if job.deleted else "SENDING" if sending else "SEND_SUCCESS"
    return {"msg_id": job.msg_id, "msg_status": state}


def _job(call: SimulatedCall, msg_id: int | str) -> SimulatedMass:
    return find((job for job in call.state.mass if job.msg_id == int(msg_id)), 40097)


@family.post("/cgi-bin/message/mass/speed/get")
def speed(call: SimulatedCall) -> Answer:
    return {"speed": call.state.mass_speed, "realspeed": _SPEEDS[call.state.mass_speed] // 10_000}


@family.post("/cgi-bin/message/mass/speed/set", {"speed?": int})
def set_speed(call: SimulatedCall) -> None:
    refuse_if("speed" not in call.body, 45084)
    refuse_if(not 0 <= int(call.body["speed"]) <= 4, 45083)
    call.state.mass_speed = int(call.body["speed"])
