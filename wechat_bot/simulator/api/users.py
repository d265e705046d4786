"""Followers (section 7.1), and what their acts allow (section 7.4)."""

from __future__ import annotations

from typing import Any

from ..state import PlatformState, SimulatedFollower
from .call import Answer, Area, CallRefused, Family, SimulatedCall, page

family = Family(Area.USERS)

_MINUTE, _TWO_DAYS = 60, 48 * 3600
_ALLOWED = {
    "message": (5, _TWO_DAYS),
    "click": (3, _MINUTE),
    "follow": (3, _MINUTE),
    "scan": (3, _MINUTE),
}
"""Messages, and within how many seconds."""


def act(state: PlatformState, openid: str, action: str, scene: str, now: float) -> None:
    """Note what a follower did; whoever does something follows."""
    follower = state.followers.get(openid)
    if action == "unfollow":
        if follower:
            state.followers[openid] = SimulatedFollower(openid, subscribed=False, remark=follower.remark)
        return
    if follower is None or not follower.subscribed:
        follower = state.followers[openid] = _follow(openid, scene, now)
    if action == "message":
        follower.wrote_at = now
    count, seconds = _ALLOWED[action]
    left = follower.window_left if now < follower.window_ends else 0
    follower.window_left = max(left, count)
    follower.window_ends = max(follower.window_ends, now + seconds)


def _follow(openid: str, scene: str, now: float) -> SimulatedFollower:
    follower = SimulatedFollower(openid, subscribe_time=int(now))
    if scene:
        follower.subscribe_scene = "ADD_SCENE_QR_CODE"
        if scene.isdigit():
            follower.qr_scene = int(scene)
        else:
            follower.qr_scene_str = scene
    return follower


@family.get("/cgi-bin/user/get", {"next_openid?": str})
def list_openids(call: SimulatedCall) -> Answer:
    openids = [follower.openid for follower in call.state.followers.values() if follower.subscribed]
    size = call.state.account.users_per_page
    return {"total": len(openids), **page(openids, call.query.get("next_openid", ""), size)}


_LANGUAGES = {"zh_CN", "zh_TW", "en"}


@family.get("/cgi-bin/user/info", {"openid": str, "lang?": str})
def info(call: SimulatedCall) -> Answer:
    return _info(call, call.query)


@family.post("/cgi-bin/user/info/batchget", {"user_list": [{"openid": str, "lang?": str}]})
def infos(call: SimulatedCall) -> Answer:
    wanted = call.body["user_list"]
    if not wanted:
        raise CallRefused(40031)
    if len(wanted) > 100:
        raise CallRefused(40032)
    return {"user_info_list": [_info(call, user) for user in wanted]}


def _info(call: SimulatedCall, wanted: dict[str, str]) -> dict[str, Any]:
    """Without name and picture: those are gone since 2021-12-27."""
    if wanted.get("lang", "zh_CN") not in _LANGUAGES:
        raise CallRefused(40035)
    follower = call.follower(wanted["openid"])
    if not follower.subscribed:
        return {"subscribe": 0, "openid": follower.openid}
    return {
        "subscribe": 1,
        "openid": follower.openid,
        "nickname": "",
        "sex": 0,
        "language": wanted.get("lang", "zh_CN"),
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "subscribe_time": follower.subscribe_time,
        "remark": follower.remark,
        "groupid": follower.tags[0] if follower.tags else 0,
        "tagid_list": follower.tags,
        "subscribe_scene": follower.subscribe_scene,
        "qr_scene": follower.qr_scene,
        "qr_scene_str": follower.qr_scene_str,
    }


@family.post("/cgi-bin/user/info/updateremark", {"openid": str, "remark": str})
def remark(call: SimulatedCall) -> Answer:
    follower = call.follower(call.body["openid"])
    if len(call.body["remark"].encode()) >= 30:
        raise CallRefused(40097)
    follower.remark = call.body["remark"]
    return None


@family.post("/cgi-bin/changeopenid", {"from_appid": str, "openid_list": [str]})
def change_openids(call: SimulatedCall) -> Answer:
    """An account that was never migrated: there is no other app id to come from."""
    if len(call.body["openid_list"]) > 100:
        raise CallRefused(40032)
    raise CallRefused(40013)
