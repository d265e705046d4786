"""QR codes with scenes (section 7.14), and short keys (section 7.15)."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from ..sample_files import JPEG
from ..state import SimulatedShortKey, Ticket
from .call import OK, Answer, Area, CallRefused, Family, SimulatedCall, new_secret, refuse_if

family = Family(Area.QRCODES)

_MAX_SECONDS = 2_592_000
_MAX_PERMANENT = 100_000
_MAX_ID = {"QR_SCENE": 2**32 - 1, "QR_LIMIT_SCENE": 100_000}
_TEXTS = {"QR_STR_SCENE", "QR_LIMIT_STR_SCENE"}


@family.post(
    "/cgi-bin/qrcode/create",
    {
        "expire_seconds?": int,
        "action_name": str,
        "action_info": {"scene": {"scene_id?": int, "scene_str?": str}},
    },
)
def create(call: SimulatedCall) -> Answer:
    """Create a code. There is one permanent code for a scene."""
    name = call.body["action_name"]
    scene = _scene(name, call.body["action_info"]["scene"])
    if "LIMIT" in name:
        return _permanent(call, scene)
    seconds = int(call.body.get("expire_seconds", 60))
    refuse_if(not 1 <= seconds <= _MAX_SECONDS, 40097)
    ticket = _ticket(call, scene, call.now + seconds)
    return {"ticket": ticket.ticket, "expire_seconds": seconds, "url": ticket.url}


def _scene(name: str, scene: dict[str, Any]) -> str:
    if name in _MAX_ID:
        refuse_if(not 1 <= int(scene.get("scene_id", 0)) <= _MAX_ID[name], 40129)
        return str(int(scene["scene_id"]))
    if name in _TEXTS:
        text: str = scene.get("scene_str", "")
        refuse_if(not 1 <= len(text) <= 64, 40129)
        return text
    raise CallRefused(40035)


def _permanent(call: SimulatedCall, scene: str) -> Answer:
    permanent = [ticket for ticket in call.state.tickets if ticket.ends is None]
    ticket = next((ticket for ticket in permanent if ticket.scene == scene), None)
    if ticket is None:
        refuse_if(len(permanent) >= _MAX_PERMANENT, 45029)
        ticket = _ticket(call, scene, None)
    return {"ticket": ticket.ticket, "url": ticket.url}


def _ticket(call: SimulatedCall, scene: str, ends: float | None) -> Ticket:
    ticket = Ticket(f"gQ{new_secret()}==", f"http://weixin.qq.com/q/{new_secret()[:22]}", scene, ends)
    call.state.tickets.append(ticket)
    return ticket


@family.get("/cgi-bin/showqrcode", {"ticket": str}, token=False)
def show(call: SimulatedCall) -> Answer:
    """Return a picture, which shows no code. The platform serves it from another host, mp.weixin.qq.com."""
    for ticket in call.state.tickets:
        if ticket.ticket == call.query["ticket"] and (ticket.ends is None or call.now < ticket.ends):
            return Response(JPEG, mimetype="image/jpg")
    return Response(status=404)


@family.post("/cgi-bin/shorten/gen", {"long_data": str, "expire_seconds?": int}, area=Area.SHORT_KEYS)
def shorten(call: SimulatedCall) -> Answer:
    long_data, seconds = call.body["long_data"], int(call.body.get("expire_seconds", _MAX_SECONDS))
    refuse_if(not long_data, 9410010)
    refuse_if(len(long_data.encode()) > 4096, 9410011)
    refuse_if(not 1 <= seconds <= _MAX_SECONDS, 40097)
    key = new_secret()[:15]
    call.state.short_keys[key] = SimulatedShortKey(long_data, call.now, seconds)
    return {**OK, "short_key": key}


@family.post("/cgi-bin/shorten/fetch", {"short_key": str}, area=Area.SHORT_KEYS)
def fetch(call: SimulatedCall) -> Answer:
    refuse_if(not call.body["short_key"], 9410010)
    key = call.state.short_keys.get(call.body["short_key"])
    if key is None:
        raise CallRefused(9410011)
    refuse_if(call.now >= key.created_at + key.seconds, 9410012)
    return {
        **OK,
        "long_data": key.long_data,
        "create_time": int(key.created_at),
        "expire_seconds": int(key.created_at + key.seconds - call.now),
    }
