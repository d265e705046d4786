"""Customer-service messages (section 7.4)."""

from __future__ import annotations

from typing import Any

from ..state import SimulatedFollower
from .call import Area, CallRefused, Family, SimulatedCall, refuse_if

family = Family(Area.CUSTOMER)

SEND = "/cgi-bin/message/custom/send"

_KINDS: dict[str, Any] = {
    "text": {"content": str},
    "image": {"media_id": str},
    "voice": {"media_id": str},
    "video": {"media_id": str, "thumb_media_id?": str, "title?": str, "description?": str},
    "music": {"title?": str, "description?": str, "musicurl": str, "hqmusicurl": str, "thumb_media_id": str},
    "news": {"articles": [{"title": str, "description?": str, "url?": str, "picurl?": str}]},
    "mpnews": {"media_id": str},
    "mpnewsarticle": {"article_id": str},
    "msgmenu": {"head_content?": str, "list": [{"id": str, "content": str}], "tail_content?": str},
    "wxcard": {"card_id": str},
    "miniprogrampage": {"title": str, "appid": str, "pagepath": str, "thumb_media_id": str},
}


@family.post(
    SEND,
    {
        "touser": str,
        "msgtype": str,
        "customservice?": {"kf_account": str},
        "aimsgcontext?": {"is_ai_msg": int},
        **{f"{kind}?": dict for kind in _KINDS},
    },
)
def send(call: SimulatedCall) -> None:
    openid = call.body["touser"]
    follower = call.recipient(openid)
    refuse_if(follower.refuses, 48002)
    _check_message(call)
    _check_agent(call)
    if call.state.account.strict or follower.window_ends:
        _use_window(follower, call.now)
    follower.typing_until = 0
    call.deliver(openid)


def _check_message(call: SimulatedCall) -> None:
    kind = call.body["msgtype"]
    refuse_if(kind not in _KINDS, 40008)
    content = call.content(kind, _KINDS[kind])
    match kind:
        case "text":
            check_text(content["content"])
        case "image" | "voice" | "video":
            call.find_media(content["media_id"], kind)
        case "news" if not content["articles"]:
            raise CallRefused(44003)
        case "news" if len(content["articles"]) > 1:
            raise CallRefused(45008)
        case "mpnews" if content["media_id"] not in call.state.drafts:
            raise CallRefused(40007)
        case "mpnewsarticle" if content["article_id"] not in call.state.published:
            raise CallRefused(53600)
        case "msgmenu" if not content["list"]:
            raise CallRefused(47001)
    if thumb := content.get("thumb_media_id"):
        call.find_media(thumb, "thumb", "image")


def check_text(content: str) -> None:
    refuse_if(not content, 44004)
    refuse_if(len(content.encode()) > 2048, 45002)


def _check_agent(call: SimulatedCall) -> None:
    if sender := call.body.get("customservice"):
        agents = [agent.kf_account for agent in call.state.agents]
        refuse_if(sender["kf_account"] not in agents, 65401)


def _use_window(follower: SimulatedFollower, now: float) -> None:
    refuse_if(now >= follower.window_ends, 45015)
    refuse_if(not follower.window_left, 45047)
    follower.window_left -= 1


@family.post("/cgi-bin/message/custom/typing", {"touser": str, "command": str})
def typing(call: SimulatedCall) -> None:
    """Show the typing status for 15 s. It is allowed within 30 s of a message of the follower."""
    follower = call.recipient(call.body["touser"])
    match call.body["command"]:
        case "Typing":
            refuse_if(
                (call.state.account.strict or follower.wrote_at) and call.now > follower.wrote_at + 30, 45080
            )
            refuse_if(call.now < follower.typing_until, 45081)
            follower.typing_until = call.now + 15
        case "CancelTyping":
            follower.typing_until = 0
        case _:
            raise CallRefused(45072)
