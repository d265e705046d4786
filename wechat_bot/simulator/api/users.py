"""Followers (section 7.1), and the customer-service window that their actions open (section 7.4)."""

from __future__ import annotations

from typing import Any

from ..state import PlatformState, SimulatedFollower
from .call import Answer, Area, CallRefused, Family, SimulatedCall, page_after, refuse_if

family = Family(Area.USERS)

_MINUTE, _TWO_DAYS = 60, 48 * 3600
_ALLOWED = {"message": (5, _TWO_DAYS), "click": (3, _MINUTE), "follow": (3, _MINUTE), "scan": (3, _MINUTE)}
"""The number of customer-service messages that an action allows, and for how many seconds."""


def record_action(state: PlatformState, openid: str, action: str, scene: str, now: float) -> None:
    """Record an action of a follower. Any action but unfollow makes an unknown openid a follower."""
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
    return {"total": len(openids), **page_after(openids, call.query.get("next_openid", ""), size)}


_LANGUAGES = {"zh_CN", "zh_TW", "en"}


@family.get("/cgi-bin/user/info", {"openid": str, "lang?": str})
def info(call: SimulatedCall) -> Answer:
    return _info(call, call.query)


@family.post("/cgi-bin/user/info/batchget", {"user_list": [{"openid": str, "lang?": str}]})
def infos(call: SimulatedCall) -> Answer:
    users = call.body["user_list"]
    refuse_if(not users, 40031)
    refuse_if(len(users) > 100, 40032)
    return {"user_info_list": [_info(call, user) for user in users]}


def _info(call: SimulatedCall, query: dict[str, str]) -> dict[str, Any]:
    """Return a profile. Nickname and picture are empty since 2021-12-27."""
    refuse_if(query.get("lang", "zh_CN") not in _LANGUAGES, 40035)
    follower = call.follower(query["openid"])
    if not follower.subscribed:
        return {"subscribe": 0, "openid": follower.openid}
    return {
        "subscribe": 1,
        "openid": follower.openid,
        "nickname": "",
        "sex": 0,
        "language": query.get("lang", "zh_CN"),
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
def remark(call: SimulatedCall) -> None:
    follower = call.follower(call.body["openid"])
    refuse_if(len(call.body["remark"].encode()) >= 30, 40097)
    follower.remark = call.body["remark"]


@family.post("/cgi-bin/changeopenid", {"from_appid": str, "openid_list": [str]})
def change_openids(call: SimulatedCall) -> Answer:
    """The account was never migrated, so that no other AppID is valid."""
    refuse_if(len(call.body["openid_list"]) > 100, 40032)
    raise CallRefused(40013)
