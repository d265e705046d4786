"""Customer-service messages, agents and sessions (sections 7.4 and 7.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulator.conftest import CREDENTIALS, NOON, OK, Caller, make_caller
from wechat_bot.simulator.sample_files import AMR, JPEG, MP4, PNG
from wechat_bot.testing import FakePlatform

SEND = "/cgi-bin/message/custom/send"
TYPING = "/cgi-bin/message/custom/typing"


def text(openid: str = "o1", content: str = "在吗") -> dict[str, Any]:
    return {"touser": openid, "msgtype": "text", "text": {"content": content}}


def sends(caller: Caller, times: int = 1) -> list[int]:
    return [caller.errcode(SEND, text()) for _ in range(times)]


# The window


@pytest.mark.parametrize(
    ("action", "count", "seconds"),
    [("message", 5, 48 * 3600), ("click", 3, 60), ("follow", 3, 60), ("scan", 3, 60)],
)
def test_an_action_of_a_follower_allows_some_messages_for_some_time(
    caller: Caller, action: str, count: int, seconds: int
) -> None:
    caller.api.follower_acted("o1", action)
    assert sends(caller, count + 1) == [0] * count + [45047]
    assert len(caller.api.sent) == count
    caller.api.follower_acted("o1", action)
    caller.api.advance(seconds - 1)
    caller.token = caller.new_token()
    assert sends(caller) == [0]
    caller.api.advance(1)
    assert sends(caller) == [45015]


def test_every_action_resets_to_the_larger_count_and_the_longer_time(caller: Caller) -> None:
    caller.api.follower_acted("o1", "message")
    assert sends(caller, 4) == [0] * 4
    caller.api.follower_acted("o1", "click")
    caller.api.advance(3600)
    assert sends(caller, 4) == [0] * 3 + [45047]
    caller.api.follower_acted("o1", "message")
    assert sends(caller) == [0]
    caller.api.follower_acted("o1", "click")
    assert sends(caller, 5) == [0] * 4 + [45047]


def test_messages_of_a_closed_window_are_lost(caller: Caller) -> None:
    caller.api.follower_acted("o1", "message")
    caller.api.advance(48 * 3600)
    caller.api.follower_acted("o1", "click")
    caller.token = caller.new_token()
    assert sends(caller, 4) == [0] * 3 + [45047]


def test_only_followers_who_want_to_can_be_written_to(caller: Caller) -> None:
    assert sends(caller) == [40003]
    caller.follow("o1")
    caller.api.follower_acted("o1", "unfollow")
    assert sends(caller) == [43004]
    caller.follow("o1")
    caller.state(lambda state: setattr(state.followers["o1"], "refuses", True))
    assert sends(caller) == [48002]
    caller.state(lambda state: setattr(state.followers["o1"], "blacklisted", True))
    assert sends(caller) == [43019]


def test_unknown_openids_are_accepted_unless_the_account_is_strict() -> None:
    caller = make_caller()
    assert sends(caller, 9) == [0] * 9
    caller.api.follower_acted("o1", "click")
    assert sends(caller, 4) == [0] * 3 + [45047]


def test_pushes_open_the_window(caller: Caller) -> None:
    platform = FakePlatform(CREDENTIALS, lambda *_: (200, b"success"), openid="o1", api=caller.api)
    platform.follow("counter-7")
    assert caller.get("/cgi-bin/user/info", openid="o1")["qr_scene_str"] == "counter-7"
    assert sends(caller, 4) == [0] * 3 + [45047]
    platform.text("hallo")
    assert sends(caller, 6) == [0] * 5 + [45047]
    platform.click("HELP")
    assert sends(caller, 4) == [0] * 3 + [45047]
    platform.scan("7")
    assert sends(caller, 4) == [0] * 3 + [45047]
    platform.push(platform.event("VIEW", EventKey="https://www.example.com/"))
    assert sends(caller) == [45047]
    platform.unfollow()
    assert sends(caller) == [43004]


# Kinds of messages


@pytest.fixture
def media(caller: Caller) -> Iterator[dict[str, str]]:
    """Media ids by kind, for an account with a follower who just wrote."""
    caller.api.follower_acted("o1", "message")
    upload = "/cgi-bin/media/upload"
    yield {
        "image": caller.upload(upload, PNG, "a.png", type="image")["media_id"],
        "voice": caller.upload(upload, AMR, "a.amr", type="voice")["media_id"],
        "video": caller.upload(upload, MP4, "a.mp4", type="video")["media_id"],
        "thumb": caller.upload(upload, JPEG, "a.jpg", type="thumb")["thumb_media_id"],
    }
    assert caller.api.unknown == []


def message(kind: str, **content: Any) -> dict[str, Any]:
    return {"touser": "o1", "msgtype": kind, kind: content}


def test_every_kind_of_message_arrives(caller: Caller, media: dict[str, str]) -> None:
    thumb = {"thumb_media_id": media["thumb"]}
    music = {"musicurl": "https://m.example/", "hqmusicurl": "https://m.example/", "title": "歌"}
    article = {"title": "一", "description": "", "url": "https://a.example/", "picurl": ""}
    choices = [{"id": "101", "content": "是"}, {"id": "102", "content": "否"}]
    messages = [
        text(content="文") | {"aimsgcontext": {"is_ai_msg": 1}},
        message("image", media_id=media["image"]),
        message("voice", media_id=media["voice"]),
        message("video", media_id=media["video"], title="片", description="", **thumb),
        message("music", description="", **music, **thumb),
        message("news", articles=[article]),
        message("msgmenu", head_content="好吗？", list=choices, tail_content=""),
        message("wxcard", card_id="p1"),
        message("miniprogrampage", title="页", appid="wx1", pagepath="p", **thumb),
    ]
    for body in messages:
        caller.api.follower_acted("o1", "message")
        assert caller.post(SEND, body) == OK
    assert caller.api.sent == messages


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (text(content="好" * 682 + "xx"), 0),
        (text(content="好" * 683), 45002),
        (text(content=""), 44004),
        ({"touser": "o1", "msgtype": "location"}, 40008),
        ({"touser": "o1", "msgtype": "text"}, 47001),
        (message("image", media_id="none"), 40007),
        (message("image", media_id=""), 41006),
        (message("news", articles=[]), 44003),
        (message("news", articles=[{"title": "一"}] * 2), 45008),
        (message("mpnews", media_id="none"), 40007),
        (message("mpnewsarticle", article_id="none"), 53600),
        (message("msgmenu", list=[]), 47001),
        (text() | {"customservice": {"kf_account": "nobody@wx"}}, 65401),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_message_has_its_limits(
    caller: Caller, media: dict[str, str], body: dict[str, Any], errcode: int
) -> None:
    assert caller.errcode(SEND, body) == errcode
    assert len(caller.api.sent) == (errcode == 0)


@pytest.mark.parametrize(("kind", "other"), [("image", "voice"), ("voice", "image"), ("video", "thumb")])
def test_a_file_of_another_kind_is_no_file(
    caller: Caller, media: dict[str, str], kind: str, other: str
) -> None:
    assert caller.errcode(SEND, message(kind, media_id=media[other])) == 40007


def test_a_refused_message_is_not_counted(caller: Caller) -> None:
    caller.follow("o1")
    assert caller.errcode(SEND, text(content="")) == 44004
    assert sends(caller, 4) == [0] * 3 + [45047]


# Typing


def typing(caller: Caller, command: str = "Typing") -> int:
    return caller.errcode(TYPING, {"touser": "o1", "command": command})


def test_typing_is_shown_for_15_seconds_after_a_message(caller: Caller) -> None:
    caller.follow("o1")
    assert typing(caller) == 45080
    caller.api.follower_acted("o1", "message")
    assert [typing(caller), typing(caller)] == [0, 45081]
    assert [typing(caller, "CancelTyping"), typing(caller)] == [0, 0]
    caller.api.advance(15)
    assert typing(caller) == 0
    assert sends(caller) == [0]
    assert typing(caller) == 0
    caller.api.advance(16)
    assert typing(caller) == 45080
    assert typing(caller, "typing") == 45072


# Agents

ANNA = {"kf_account": "anna@example_wx", "nickname": "安娜"}
BERT = {"kf_account": "bert@example_wx", "nickname": "伯特"}


def test_agents_are_added_changed_and_removed(caller: Caller) -> None:
    assert caller.post("/customservice/kfaccount/add", ANNA) == OK
    assert caller.post("/customservice/kfaccount/update", ANNA | {"nickname": "安"}) == OK
    invitation = {"kf_account": ANNA["kf_account"], "invite_wx": "anna_wx"}
    assert caller.post("/customservice/kfaccount/inviteworker", invitation) == OK
    picture = "/customservice/kfaccount/uploadheadimg"
    assert caller.upload(picture, PNG, "a.png", kf_account=ANNA["kf_account"]) == OK
    [agent] = caller.get("/cgi-bin/customservice/getkflist")["kf_list"]
    assert (agent["kf_nick"], agent["invite_wx"], agent["invite_status"]) == ("安", "anna_wx", "waiting")
    [online] = caller.get("/cgi-bin/customservice/getonlinekflist")["kf_online_list"]
    assert online == {
        "kf_account": ANNA["kf_account"],
        "status": 1,
        "kf_id": agent["kf_id"],
        "accepted_case": 0,
    }
    assert caller.post("/customservice/kfaccount/del", {"kf_account": ANNA["kf_account"]}) == OK
    assert caller.get("/cgi-bin/customservice/getkflist") == {"kf_list": []}


@pytest.mark.parametrize(
    ("path", "body", "errcode"),
    [
        ("add", ANNA, 65406),
        ("add", {"kf_account": "anna", "nickname": "x"}, 65404),
        ("add", {"kf_account": "elevenchars@wx", "nickname": "x"}, 65404),
        ("add", {"kf_account": "carl@wx", "nickname": "x" * 17}, 65403),
        ("update", BERT, 65401),
        ("del", {"kf_account": "bert@example_wx"}, 65401),
        ("inviteworker", {"kf_account": "bert@example_wx", "invite_wx": "b"}, 65401),
    ],
)
def test_agents_have_their_limits(caller: Caller, path: str, body: dict[str, str], errcode: int) -> None:
    caller.post("/customservice/kfaccount/add", ANNA)
    assert caller.errcode(f"/customservice/kfaccount/{path}", body) == errcode


def test_there_are_at_most_100_agents(caller: Caller) -> None:
    add = [
        caller.errcode("/customservice/kfaccount/add", {"kf_account": f"a{n}@wx", "nickname": "x"})
        for n in range(101)
    ]
    assert add == [0] * 100 + [65405]


def test_a_session_belongs_to_one_agent(caller: Caller) -> None:
    caller.follow("o1")
    for agent in (ANNA, BERT):
        caller.post("/customservice/kfaccount/add", agent)
    anna, bert = ({"kf_account": agent["kf_account"], "openid": "o1"} for agent in (ANNA, BERT))
    sessions = "/customservice/kfsession"
    assert caller.post(f"{sessions}/create", anna) == OK
    assert caller.errcode(f"{sessions}/create", bert) == 65414
    session = {"createtime": int(NOON), "kf_account": ANNA["kf_account"]}
    assert caller.get(f"{sessions}/getsession", openid="o1") == session
    listed = caller.get(f"{sessions}/getsessionlist", kf_account=ANNA["kf_account"])["sessionlist"]
    assert listed == [{"createtime": int(NOON), "openid": "o1"}]
    assert caller.get(f"{sessions}/getwaitcase") == {"count": 0, "waitcaselist": []}
    assert caller.errcode(f"{sessions}/close", bert) == 65413
    assert caller.post(f"{sessions}/close", anna) == OK
    assert [event.name for event in caller.api.take_events()] == ["kf_create_session", "kf_close_session"]


def test_messages_of_agents_are_recorded(caller: Caller) -> None:
    caller.api.follower_acted("o1", "message")
    caller.post("/customservice/kfaccount/add", ANNA)
    for content in ("一", "二", "三"):
        body = text(content=content) | {"customservice": {"kf_account": ANNA["kf_account"]}}
        assert caller.post(SEND, body) == OK
    path, day = "/customservice/msgrecord/getmsglist", int(NOON) - 60
    span = {"starttime": day, "endtime": day + 86400, "msgid": 1, "number": 2}
    first = caller.post(path, span)
    assert (first["number"], first["msgid"]) == (2, 3)
    assert first["recordlist"][0] == {
        "openid": "o1",
        "opercode": 2002,
        "text": "一",
        "time": int(NOON),
        "worker": ANNA["kf_account"],
    }
    assert caller.post(path, span | {"msgid": 3})["number"] == 1
    assert caller.errcode(path, span | {"endtime": day + 86401}) == 65417
    assert caller.errcode(path, span | {"number": 10_001}) == 65416
