"""Customer-service messages (section 7.4)."""

from __future__ import annotations

from typing import Any

from ..state import SimulatedFollower
from .call import Answer, Area, CallRefused, Family, SimulatedCall, check

family = Family(Area.CUSTOMER)

SEND = "/cgi-bin/message/custom/send"

_KINDS: dict[str, Any] = {
    "text": {"content": str},
    "image": {"media_id": str},
    "voice": {"media_id": str},
    "video": {"media_id": str, "thumb_media_id?": str, "title?": str, "description?": str},
    "music": {
        "title?": str,
        "description?": str,
        "musicurl": str,
        "hqmusicurl": str,
        "thumb_media_id": str,
    },
    "news": {"articles": [{"title": str, "description?": str, "url?": str, "picurl?": str}]},
    "mpnews": {"media_id": str},
    "mpnewsarticle": {"article_id": str},
    "msgmenu": {
        "head_content?": str,
        "list": [{"id": str, "content": str}],
        "tail_content?": str,
    },
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
def send(call: SimulatedCall) -> Answer:
    openid = call.body["touser"]
    follower = call.receiver(openid)
    if follower.refuses:
        raise CallRefused(48002)
    _check_message(call)
    _check_agent(call)
    if call.state.account.strict or follower.window_ends:
        _use_window(follower, call.now)
    follower.typing_until = 0
    call.deliver(openid)
    return None


def _check_message(call: SimulatedCall) -> None:
    kind = call.body["msgtype"]
    if kind not in _KINDS:
        raise CallRefused(40008)
    if kind not in call.body:
        raise CallRefused(47001, f"{kind} missing")
    content = call.body[kind]
    unknown = check(_KINDS[kind], content, kind)
    call.state.unknown += [f"{call.path} {name}" for name in unknown]
    match kind:
        case "text":
            check_text(content["content"])
        case "image" | "voice" | "video":
            call.medium(content["media_id"], kind)
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
        call.medium(thumb, "thumb", "image")


def check_text(content: str) -> None:
    if not content:
        raise CallRefused(44004)
    if len(content.encode()) > 2048:
        raise CallRefused(45002)


def _check_agent(call: SimulatedCall) -> None:
    if sender := call.body.get("customservice"):
        agents = [agent.kf_account for agent in call.state.agents]
        if sender["kf_account"] not in agents:
            raise CallRefused(65401)


def _use_window(follower: SimulatedFollower, now: float) -> None:
    if now >= follower.window_ends:
        raise CallRefused(45015)
    if not follower.window_left:
        raise CallRefused(45047)
    follower.window_left -= 1


@family.post("/cgi-bin/message/custom/typing", {"touser": str, "command": str})
def typing(call: SimulatedCall) -> Answer:
    """Shown for 15 s, within 30 s of a message of the follower."""
    follower = call.receiver(call.body["touser"])
    match call.body["command"]:
        case "Typing":
            if (call.state.account.strict or follower.wrote_at) and call.now > follower.wrote_at + 30:
                raise CallRefused(45080)
            if call.now < follower.typing_until:
                raise CallRefused(45081)
            follower.typing_until = call.now + 15
        case "CancelTyping":
            follower.typing_until = 0
        case _:
            raise CallRefused(45072)
    return None
