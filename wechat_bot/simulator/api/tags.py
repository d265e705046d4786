"""Tags and the blacklist (section 7.2)."""

from __future__ import annotations

from ..state import SimulatedFollower, SimulatedTag
from .call import Answer, Area, Family, SimulatedCall, find, page_after, refuse_if

family = Family(Area.USERS)

_SYSTEM = {0, 1, 2}
"""Ids of the platform's tags, which cannot be changed."""
_FIRST = 100
"""The first id of the account's own tags."""


@family.post("/cgi-bin/tags/create", {"tag": {"name": str}})
def create(call: SimulatedCall) -> Answer:
    tags = call.state.tags
    refuse_if(len([tag for tag in tags if tag.id not in _SYSTEM]) >= 100, 45056)
    name = _name(call, call.body["tag"]["name"])
    tag = SimulatedTag(max(_FIRST, tags[-1].id + 1), name)
    tags.append(tag)
    return {"tag": {"id": tag.id, "name": tag.name}}


@family.get("/cgi-bin/tags/get")
def list_tags(call: SimulatedCall) -> Answer:
    return {
        "tags": [
            {"id": tag.id, "name": tag.name, "count": len(_members(call, tag.id))} for tag in call.state.tags
        ]
    }


@family.post("/cgi-bin/tags/update", {"tag": {"id": int, "name": str}})
def rename(call: SimulatedCall) -> None:
    tag = _own(call)
    if tag.name != call.body["tag"]["name"]:
        tag.name = _name(call, call.body["tag"]["name"])


@family.post("/cgi-bin/tags/delete", {"tag": {"id": int}})
def delete(call: SimulatedCall) -> None:
    tag = _own(call)
    members = _members(call, tag.id)
    refuse_if(len(members) > 100_000, 45057)
    for follower in members:
        follower.tags.remove(tag.id)
    call.state.tags.remove(tag)


@family.post("/cgi-bin/user/tag/get", {"tagid": int, "next_openid?": str})
def members(call: SimulatedCall) -> Answer:
    openids = [follower.openid for follower in _members(call, _tag(call, call.body["tagid"]).id)]
    return page_after(openids, call.body.get("next_openid", ""), call.state.account.users_per_page)


@family.post("/cgi-bin/tags/members/batchtagging", {"openid_list": [str], "tagid": int})
def add_members(call: SimulatedCall) -> None:
    tag = _tag(call, call.body["tagid"])
    followers = [follower for follower in _listed(call, 50) if tag.id not in follower.tags]
    refuse_if(any(len(follower.tags) >= 20 for follower in followers), 45059)
    for follower in followers:
        follower.tags.append(tag.id)


@family.post("/cgi-bin/tags/members/batchuntagging", {"openid_list": [str], "tagid": int})
def remove_members(call: SimulatedCall) -> None:
    tag = _tag(call, call.body["tagid"])
    for follower in _listed(call, 50):
        if tag.id in follower.tags:
            follower.tags.remove(tag.id)


@family.post("/cgi-bin/tags/getidlist", {"openid": str})
def tags_of(call: SimulatedCall) -> Answer:
    return {"tagid_list": call.follower(call.body["openid"]).tags}


@family.post("/cgi-bin/tags/members/getblacklist", {"begin_openid?": str})
def blacklist(call: SimulatedCall) -> Answer:
    openids = [follower.openid for follower in call.state.followers.values() if follower.blacklisted]
    return {"total": len(openids), **page_after(openids, call.body.get("begin_openid", ""), 1000)}


@family.post("/cgi-bin/tags/members/batchblacklist", {"openid_list": [str]})
def block(call: SimulatedCall) -> None:
    for follower in _listed(call, 20):
        follower.blacklisted = True


@family.post("/cgi-bin/tags/members/batchunblacklist", {"openid_list": [str]})
def unblock(call: SimulatedCall) -> None:
    for follower in _listed(call, 20):
        follower.blacklisted = False


def _name(call: SimulatedCall, name: str) -> str:
    refuse_if(not name.strip() or any(tag.name == name for tag in call.state.tags), 45157)
    refuse_if(len(name) > 30, 45158)
    return name


def _tag(call: SimulatedCall, tag_id: int | str) -> SimulatedTag:
    return find((tag for tag in call.state.tags if tag.id == int(tag_id)), 45159)


def _own(call: SimulatedCall) -> SimulatedTag:
    """Return the tag that a call changes.

    :raises CallRefused: if it is unknown or one of the platform's.
    """
    refuse_if(int(call.body["tag"]["id"]) in _SYSTEM, 45058)
    return _tag(call, call.body["tag"]["id"])


def _members(call: SimulatedCall, tag_id: int) -> list[SimulatedFollower]:
    return [follower for follower in call.state.followers.values() if tag_id in follower.tags]


def _listed(call: SimulatedCall, limit: int) -> list[SimulatedFollower]:
    openids = call.body["openid_list"]
    refuse_if(not 1 <= len(openids) <= limit, 40032)
    return [call.follower(openid, 49003) for openid in dict.fromkeys(openids)]
