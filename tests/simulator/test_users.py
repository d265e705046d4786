"""Followers, tags and the blacklist (sections 7.1 and 7.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import APP_ID
from tests.simulator.conftest import NOON, OK, Caller
from wechat_bot.simulator.state import SimulatedFollower

INFO = "/cgi-bin/user/info"


def test_followers_come_in_pages_until_an_empty_one(caller: Caller) -> None:
    caller.state(lambda state: setattr(state.account, "users_per_page", 2))
    caller.follow("o1", "o2", "o3", "gone")
    caller.api.follower_acted("gone", "unfollow")
    first = caller.get("/cgi-bin/user/get")
    assert first == {"total": 3, "count": 2, "data": {"openid": ["o1", "o2"]}, "next_openid": "o2"}
    second = caller.get("/cgi-bin/user/get", next_openid="o2")
    assert second == {"total": 3, "count": 1, "data": {"openid": ["o3"]}, "next_openid": "o3"}
    assert caller.get("/cgi-bin/user/get", next_openid="o3") == {"total": 3, "count": 0, "next_openid": ""}
    assert caller.get("/cgi-bin/user/get", next_openid="foreign")["errcode"] == 40003


def test_a_page_has_at_most_10_000(caller: Caller) -> None:
    caller.state(
        lambda state: state.followers.update({f"o{n}": SimulatedFollower(f"o{n}") for n in range(10_001)})
    )
    page = caller.get("/cgi-bin/user/get")
    assert (page["total"], page["count"], page["next_openid"]) == (10_001, 10_000, "o9999")


def test_a_profile_has_no_name(caller: Caller) -> None:
    caller.api.follower_acted("o1", "follow", "counter-7")
    info = caller.get(INFO, openid="o1", lang="zh_CN")
    assert info == {
        "subscribe": 1,
        "openid": "o1",
        "nickname": "",
        "headimgurl": "",
        "sex": 0,
        "country": "",
        "province": "",
        "city": "",
        "language": "zh_CN",
        "subscribe_time": int(NOON),
        "subscribe_scene": "ADD_SCENE_QR_CODE",
        "qr_scene": 0,
        "qr_scene_str": "counter-7",
        "remark": "",
        "tagid_list": [],
        "groupid": 0,
    }


def test_a_former_follower_has_only_an_openid(caller: Caller) -> None:
    caller.follow("o1")
    caller.api.follower_acted("o1", "unfollow")
    assert caller.get(INFO, openid="o1") == {"subscribe": 0, "openid": "o1"}


@pytest.mark.parametrize(("openid", "errcode"), [("foreign", 40003), ("", 41009)])
def test_an_unknown_openid_is_refused(caller: Caller, openid: str, errcode: int) -> None:
    assert caller.get(INFO, openid=openid)["errcode"] == errcode


def test_many_are_looked_up_at_once(caller: Caller) -> None:
    caller.follow("o1", "o2")
    users = [{"openid": "o1", "lang": "zh_CN"}, {"openid": "o2"}]
    infos = caller.post(f"{INFO}/batchget", {"user_list": users})["user_info_list"]
    assert [info["openid"] for info in infos] == ["o1", "o2"]
    assert caller.errcode(f"{INFO}/batchget", {"user_list": users[:1] * 101}) == 40032
    assert caller.errcode(f"{INFO}/batchget", {"user_list": []}) == 40031
    assert caller.errcode(f"{INFO}/batchget", {"user_list": [{"openid": "foreign"}]}) == 40003


def test_a_remark_is_shorter_than_30_bytes(caller: Caller) -> None:
    caller.follow("o1")
    assert caller.post(f"{INFO}/updateremark", {"openid": "o1", "remark": "好" * 9}) == OK
    assert caller.get(INFO, openid="o1")["remark"] == "好" * 9
    assert caller.errcode(f"{INFO}/updateremark", {"openid": "o1", "remark": "好" * 10}) == 40097


def test_an_account_that_was_not_migrated_has_no_old_openids(caller: Caller) -> None:
    body: dict[str, Any] = {"from_appid": APP_ID, "openid_list": ["o1"]}
    assert caller.errcode("/cgi-bin/changeopenid", body) == 40013
    assert caller.errcode("/cgi-bin/changeopenid", body | {"openid_list": ["o1"] * 101}) == 40032


# Tags


def create(caller: Caller, name: str) -> Any:
    return caller.post("/cgi-bin/tags/create", {"tag": {"name": name}})


def test_tags_are_made_renamed_counted_and_deleted(caller: Caller) -> None:
    caller.follow("o1", "o2")
    tag = create(caller, "老师")["tag"]
    assert tag["name"] == "老师"
    members = {"openid_list": ["o1", "o2"], "tagid": tag["id"]}
    assert caller.post("/cgi-bin/tags/members/batchtagging", members) == OK
    assert caller.post("/cgi-bin/tags/update", {"tag": {"id": tag["id"], "name": "先生"}}) == OK
    star = {"id": 2, "name": "星标组", "count": 0}
    assert caller.get("/cgi-bin/tags/get") == {"tags": [star, {"id": tag["id"], "name": "先生", "count": 2}]}
    assert caller.post("/cgi-bin/user/tag/get", {"tagid": tag["id"], "next_openid": "o1"}) == {
        "count": 1,
        "data": {"openid": ["o2"]},
        "next_openid": "o2",
    }
    assert caller.post("/cgi-bin/tags/getidlist", {"openid": "o1"}) == {"tagid_list": [tag["id"]]}
    assert caller.post("/cgi-bin/tags/members/batchuntagging", members | {"openid_list": ["o1"]}) == OK
    assert caller.get(INFO, openid="o1")["tagid_list"] == []
    assert caller.post("/cgi-bin/tags/delete", {"tag": {"id": tag["id"]}}) == OK
    assert caller.get(INFO, openid="o2")["tagid_list"] == []
    assert caller.get("/cgi-bin/tags/get") == {"tags": [star]}


@pytest.mark.parametrize(
    ("name", "errcode"), [("", 45157), ("星标组", 45157), ("长" * 31, 45158), ("长" * 30, 0)]
)
def test_a_name_is_new_and_has_at_most_30_characters(caller: Caller, name: str, errcode: int) -> None:
    assert create(caller, name).get("errcode", 0) == errcode


def test_there_are_at_most_100_tags(caller: Caller) -> None:
    assert all("tag" in create(caller, str(number)) for number in range(100))
    assert create(caller, "one more")["errcode"] == 45056


@pytest.mark.parametrize(
    ("path", "tag", "errcode"),
    [
        ("update", {"id": 2, "name": "x"}, 45058),
        ("update", {"id": 999, "name": "x"}, 45159),
        ("delete", {"id": 2}, 45058),
        ("delete", {"id": 999}, 45159),
    ],
)
def test_only_own_tags_change(caller: Caller, path: str, tag: dict[str, Any], errcode: int) -> None:
    assert caller.errcode(f"/cgi-bin/tags/{path}", {"tag": tag}) == errcode


def test_a_tag_of_more_than_100_000_followers_stays(caller: Caller) -> None:
    tag = create(caller, "alle")["tag"]["id"]
    followers = {f"o{n}": SimulatedFollower(f"o{n}", tags=[tag]) for n in range(100_001)}
    caller.state(lambda state: state.followers.update(followers))
    assert caller.errcode("/cgi-bin/tags/delete", {"tag": {"id": tag}}) == 45057
    followers["o0"].tags.clear()
    assert caller.errcode("/cgi-bin/tags/delete", {"tag": {"id": tag}}) == 0


@pytest.mark.parametrize(
    ("openids", "tagid", "errcode"),
    [
        (["o1"], 2, 0),
        (["o1"] * 51, 2, 40032),
        ([], 2, 40032),
        (["o1"], 999, 45159),
        (["o1", "foreign"], 2, 49003),
        (["full"], 2, 45059),
    ],
)
def test_tagging_has_its_limits(caller: Caller, openids: list[str], tagid: int, errcode: int) -> None:
    caller.follow("o1")
    caller.state(
        lambda state: state.followers.update(full=SimulatedFollower("full", tags=[*range(100, 120)]))
    )
    body = {"openid_list": openids, "tagid": tagid}
    assert caller.errcode("/cgi-bin/tags/members/batchtagging", body) == errcode
    assert (2 in caller.get(INFO, openid="o1")["tagid_list"]) is (errcode == 0)


# Blacklist

BLACKLIST = "/cgi-bin/tags/members/getblacklist"


def test_the_blacklist_takes_twenty_at_once(caller: Caller) -> None:
    caller.follow("o1", "o2")
    both = {"openid_list": ["o1", "o2"]}
    assert caller.post("/cgi-bin/tags/members/batchblacklist", both) == OK
    assert caller.post(BLACKLIST, {"begin_openid": ""}) == {
        "total": 2,
        "count": 2,
        "data": {"openid": ["o1", "o2"]},
        "next_openid": "o2",
    }
    assert caller.post("/cgi-bin/tags/members/batchunblacklist", {"openid_list": ["o2"]}) == OK
    assert caller.post(BLACKLIST, {"begin_openid": ""})["total"] == 1
    many = {"openid_list": [f"o{n}" for n in range(21)]}
    assert caller.errcode("/cgi-bin/tags/members/batchblacklist", many) == 40032
    assert caller.errcode("/cgi-bin/tags/members/batchunblacklist", {"openid_list": ["foreign"]}) == 49003


def test_the_blacklist_comes_in_pages_of_1000(caller: Caller) -> None:
    blocked = {f"o{n}": SimulatedFollower(f"o{n}", blacklisted=True) for n in range(1001)}
    caller.state(lambda state: state.followers.update(blocked))
    page = caller.post(BLACKLIST, {"begin_openid": ""})
    assert (page["total"], page["count"]) == (1001, 1000)
    assert caller.post(BLACKLIST, {"begin_openid": page["next_openid"]})["data"]["openid"] == ["o1000"]
