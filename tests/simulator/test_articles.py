"""Drafts, publishing, mass sending and comments (sections 7.9 to 7.11 and 7.16)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import CREDENTIALS, NOON, OK, Caller, make_caller
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakePlatform, SimulatedAccount
from wechat_bot.wechat import xml
from wechat_bot.wechat.account_kinds import AccountKind

ADD = "/cgi-bin/draft/add"


@pytest.fixture
def thumb(caller: Caller) -> str:
    return picture(caller)


def picture(caller: Caller) -> str:
    added = caller.upload("/cgi-bin/material/add_material", PNG, "a.png", type="image")
    return str(added["media_id"])


def article(thumb: str, **changes: Any) -> dict[str, Any]:
    return {"title": "一", "content": "<p>内容</p>", "thumb_media_id": thumb, **changes}


def draft(caller: Caller, *articles: dict[str, Any]) -> str:
    return str(caller.post(ADD, {"articles": list(articles)})["media_id"])


def test_a_draft_is_kept_changed_and_deleted(caller: Caller, thumb: str) -> None:
    media_id = draft(caller, article(thumb), article(thumb, title="二"))
    assert caller.get("/cgi-bin/draft/count") == {"total_count": 1}
    change = {"media_id": media_id, "index": 1, "articles": article(thumb, title="三")}
    assert caller.post("/cgi-bin/draft/update", change) == OK
    news = caller.post("/cgi-bin/draft/get", {"media_id": media_id})["news_item"]
    assert [item["title"] for item in news] == ["一", "三"]
    assert (news[0]["digest"], news[0]["content"]) == ("内容", "<p>内容</p>")
    assert news[0]["url"].startswith("http://mp.weixin.qq.com/")
    page = caller.post("/cgi-bin/draft/batchget", {"offset": 0, "count": 20, "no_content": 1})
    assert (page["total_count"], page["item_count"], page["item"][0]["media_id"]) == (1, 1, media_id)
    assert "content" not in page["item"][0]["content"]["news_item"][0]
    assert caller.errcode("/cgi-bin/draft/update", change | {"index": 2}) == 40060
    assert caller.post("/cgi-bin/draft/delete", {"media_id": media_id}) == OK
    assert caller.errcode("/cgi-bin/draft/get", {"media_id": media_id}) == 40007
    assert caller.api.unknown == []


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"title": "题" * 32}, 0),
        ({"title": "题" * 33}, 45003),
        ({"title": ""}, 40227),
        ({"content": ""}, 44003),
        ({"author": "人" * 17}, 45004),
        ({"digest": "摘" * 129}, 45004),
        ({"content": "x" * 20_000}, 45002),
        ({"content": "<SCRIPT>"}, 45166),
        ({"content_source_url": "https://a.example/" + "x" * 1024}, 45005),
        ({"thumb_media_id": "none"}, 40007),
        ({"article_type": "song"}, 40008),
        ({"article_type": "newspic"}, 40097),
        ({"article_type": "newspic", "image_info": {"image_list": [{"image_media_id": "none"}]}}, 40007),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_an_article_has_its_limits(caller: Caller, thumb: str, changes: dict[str, Any], errcode: int) -> None:
    assert caller.errcode(ADD, {"articles": [article(thumb, **changes)]}) == errcode


def test_a_picture_message_has_pictures_instead_of_a_thumbnail(caller: Caller, thumb: str) -> None:
    pictures = {"image_list": [{"image_media_id": thumb}] * 20}
    body = {"article_type": "newspic", "title": "图", "content": "字", "image_info": pictures}
    assert caller.errcode(ADD, {"articles": [body]}) == 0
    pictures["image_list"].append({"image_media_id": thumb})
    assert caller.errcode(ADD, {"articles": [body]}) == 40097


# Publishing


def test_a_draft_is_published_after_a_while(caller: Caller, thumb: str) -> None:
    media_id = draft(caller, article(thumb), article(thumb, title="二"))
    submitted = caller.post("/cgi-bin/freepublish/submit", {"media_id": media_id})
    assert submitted.keys() == {"errcode", "errmsg", "publish_id", "msg_data_id"}
    assert caller.get("/cgi-bin/draft/count") == {"total_count": 0}
    asked = {"publish_id": submitted["publish_id"]}
    assert caller.post("/cgi-bin/freepublish/get", asked)["publish_status"] == 1
    assert caller.api.take_events() == []
    caller.api.advance(2)
    published = caller.post("/cgi-bin/freepublish/get", asked)
    assert (published["publish_status"], published["article_detail"]["count"]) == (0, 2)
    [event] = caller.api.take_events()
    info = event.fields["PublishEventInfo"]
    assert (event.name, info["article_id"]) == ("PUBLISHJOBFINISH", published["article_id"])
    assert caller.api.take_events() == []
    one = {"article_id": published["article_id"]}
    assert caller.post("/cgi-bin/freepublish/delete", one | {"index": 1}) == OK
    news = caller.post("/cgi-bin/freepublish/getarticle", one)["news_item"]
    assert [(item["title"], item["is_deleted"]) for item in news] == [("一", True), ("二", False)]
    page = caller.post("/cgi-bin/freepublish/batchget", {"offset": 0, "count": 1})
    assert (page["total_count"], page["item"][0]["update_time"]) == (1, int(NOON) + 2)
    assert caller.post("/cgi-bin/freepublish/delete", one | {"index": 0}) == OK
    assert caller.post("/cgi-bin/freepublish/get", asked)["publish_status"] == 5


def test_unpublished_articles_are_not_found(caller: Caller) -> None:
    assert caller.errcode("/cgi-bin/freepublish/submit", {"media_id": "none"}) == 40007
    assert caller.errcode("/cgi-bin/freepublish/get", {"publish_id": "1"}) == 53502
    assert caller.errcode("/cgi-bin/freepublish/getarticle", {"article_id": "none"}) == 53600
    assert caller.errcode("/cgi-bin/freepublish/delete", {"article_id": "none"}) == 53600


# Mass sending

ALL = "/cgi-bin/message/mass/sendall"
TEXT = {"msgtype": "text", "text": {"content": "大家好"}}
TO_ALL = {"filter": {"is_to_all": True}, **TEXT}


def received(caller: Caller) -> list[str]:
    with caller.api.store.opened() as state:
        return [sent.openid for sent in state.sent]


def test_a_job_reaches_all_of_a_tag_and_causes_an_event(caller: Caller) -> None:
    caller.follow("o1", "o2", "o3")
    caller.post("/cgi-bin/tags/members/batchtagging", {"openid_list": ["o1", "o2"], "tagid": 2})
    caller.post("/cgi-bin/tags/members/batchblacklist", {"openid_list": ["o2"]})
    sent = caller.post(ALL, {"filter": {"is_to_all": False, "tag_id": 2}, **TEXT})
    assert sent.keys() == {"errcode", "errmsg", "msg_id"}
    assert received(caller) == ["o1"]
    asked = {"msg_id": str(sent["msg_id"])}
    assert caller.post("/cgi-bin/message/mass/get", asked)["msg_status"] == "SENDING"
    caller.api.advance(2)
    assert caller.post("/cgi-bin/message/mass/get", asked)["msg_status"] == "SEND_SUCCESS"
    [event] = caller.api.take_events()
    assert (event.name, event.openid) == ("MASSSENDJOBFINISH", "")
    counts = {name: event.fields[name] for name in ("TotalCount", "FilterCount", "SentCount", "ErrorCount")}
    assert counts == {"TotalCount": "2", "FilterCount": "1", "SentCount": "1", "ErrorCount": "0"}
    assert caller.post("/cgi-bin/message/mass/delete", {"msg_id": sent["msg_id"], "article_idx": 0}) == OK
    assert caller.post("/cgi-bin/message/mass/get", asked)["msg_status"] == "DELETE"


def test_a_service_account_reaches_each_follower_four_times_a_month(caller: Caller) -> None:
    caller.follow("o1")
    for _ in range(5):
        assert caller.errcode(ALL, TO_ALL) == 0
    assert received(caller) == ["o1"] * 4
    caller.api.advance(31 * 86400)
    caller.token = caller.new_token()
    caller.post(ALL, TO_ALL)
    assert received(caller) == ["o1"] * 5


def test_a_subscription_account_sends_once_a_day() -> None:
    caller = make_caller(SimulatedAccount(kind=AccountKind.VERIFIED_SUBSCRIPTION))
    assert [caller.errcode(ALL, TO_ALL), caller.errcode(ALL, TO_ALL)] == [0, 45028]
    caller.api.advance(12 * 3600)
    caller.token = caller.new_token()
    assert caller.errcode(ALL, TO_ALL) == 0


def test_a_test_account_does_not_reach_all() -> None:
    assert make_caller(SimulatedAccount(kind=AccountKind.TEST)).errcode(ALL, TO_ALL) == 45028


def test_a_job_of_the_same_clientmsgid_is_made_once_a_day(caller: Caller) -> None:
    caller.follow("o1")
    job = TO_ALL | {"clientmsgid": "x" * 32}
    first = caller.post(ALL, job)["msg_id"]
    assert caller.errcode(ALL, job) == 45066
    caller.api.advance(60)
    again = caller.post(ALL, job)
    assert (again["errcode"], again["msg_id"]) == (45065, first)
    assert received(caller) == ["o1"]
    caller.api.advance(86400)
    caller.token = caller.new_token()
    assert caller.post(ALL, job)["msg_id"] != first
    assert caller.errcode(ALL, TO_ALL | {"clientmsgid": "x" * 33}) == 45067


def test_a_list_has_two_openids_or_more(caller: Caller) -> None:
    caller.follow("o1", "o2")
    path = "/cgi-bin/message/mass/send"
    assert caller.errcode(path, {"touser": ["o1", "o2"], **TEXT}) == 0
    assert received(caller) == ["o1", "o2"]
    assert caller.errcode(path, {"touser": ["o1"], **TEXT}) == 40130
    assert caller.errcode(path, {"touser": ["o1"] * 10_001, **TEXT}) == 40032
    assert caller.errcode(path, {"touser": ["o1", "foreign"], **TEXT}) == 40003


@pytest.mark.parametrize(
    ("message", "errcode"),
    [
        ({"msgtype": "wxcard", "wxcard": {"card_id": "p1"}}, 45113),
        ({"msgtype": "music"}, 40008),
        ({"msgtype": "text"}, 47001),
        ({"msgtype": "text", "text": {"content": "好" * 683}}, 45002),
        ({"msgtype": "mpnews", "mpnews": {"media_id": "none"}}, 40007),
        ({"msgtype": "voice", "voice": {"media_id": "none"}}, 40007),
        ({"msgtype": "mpvideo", "mpvideo": {"media_id": "none"}}, 40007),
        ({"msgtype": "image", "images": {"media_ids": ["none"]}}, 40007),
    ],
    ids=str,
)
def test_a_mass_message_has_its_limits(caller: Caller, message: dict[str, Any], errcode: int) -> None:
    assert caller.errcode(ALL, {"filter": {"is_to_all": True}, **message}) == errcode
    assert caller.api.unknown == []


def test_mass_messages_have_a_preview_and_a_speed(caller: Caller) -> None:
    caller.follow("o1")
    assert caller.post("/cgi-bin/message/mass/preview", {"touser": "o1", **TEXT})["errcode"] == 0
    assert caller.errcode("/cgi-bin/message/mass/preview", TEXT) == 40003
    assert received(caller) == ["o1"]
    assert caller.post("/cgi-bin/message/mass/speed/set", {"speed": 3}) == OK
    assert caller.post("/cgi-bin/message/mass/speed/get") == {"speed": 3, "realspeed": 30}
    assert caller.errcode("/cgi-bin/message/mass/speed/set", {"speed": 5}) == 45083
    assert caller.errcode("/cgi-bin/message/mass/speed/set", {}) == 45084


def test_only_articles_are_published_by_sending(caller: Caller, thumb: str) -> None:
    media_id = draft(caller, article(thumb))
    news = {"msgtype": "mpnews", "mpnews": {"media_id": media_id}, "send_ignore_reprint": 0}
    assert "msg_data_id" in caller.post(ALL, {"filter": {"is_to_all": True}, **news})


# Comments


def test_comments_are_listed_selected_answered_and_deleted(caller: Caller, thumb: str) -> None:
    submitted = caller.post("/cgi-bin/freepublish/submit", {"media_id": draft(caller, article(thumb))})
    about = {"msg_data_id": submitted["msg_data_id"], "index": 0}
    assert caller.post("/cgi-bin/comment/open", about) == OK
    first, second = (caller.api.follower_commented("o1", about["msg_data_id"], text) for text in ("好", "坏"))
    one = about | {"user_comment_id": first}
    assert caller.post("/cgi-bin/comment/markelect", one) == OK
    assert caller.post("/cgi-bin/comment/reply/add", one | {"content": "谢谢"}) == OK
    assert caller.errcode("/cgi-bin/comment/reply/add", one | {"content": "谢谢"}) == 88005

    def listed(kind: int) -> list[dict[str, Any]]:
        body = about | {"begin": 0, "count": 49, "type": kind}
        return list(caller.post("/cgi-bin/comment/list", body)["comment"])

    assert [c["user_comment_id"] for c in listed(0)] == [first, second]
    assert [c["user_comment_id"] for c in listed(1)] == [second]
    [selected] = listed(2)
    assert selected == {
        "user_comment_id": first,
        "openid": "o1",
        "create_time": int(NOON),
        "content": "好",
        "comment_type": 1,
        "reply": {"content": "谢谢", "create_time": int(NOON)},
    }
    for path in ("unmarkelect", "reply/delete", "delete"):
        assert caller.post(f"/cgi-bin/comment/{path}", one) == OK
    assert [c["user_comment_id"] for c in listed(0)] == [second]
    assert caller.errcode("/cgi-bin/comment/delete", one) == 88008
    wrong = about | {"begin": 0, "count": 50, "type": 0}
    assert caller.errcode("/cgi-bin/comment/list", wrong) == 88010
    assert caller.errcode("/cgi-bin/comment/open", {"msg_data_id": 7}) == 88001
    answer = about | {"user_comment_id": second, "content": ""}
    assert caller.errcode("/cgi-bin/comment/reply/add", answer) == 88007


# Events


def test_events_about_jobs_can_be_pushed(caller: Caller, thumb: str) -> None:
    pushed: list[xml.Fields] = []

    def send(method: str, query: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        pushed.append(xml.parse(body))
        return 200, b"success"

    platform = FakePlatform(CREDENTIALS, send)
    caller.post("/cgi-bin/freepublish/submit", {"media_id": draft(caller, article(thumb))})
    caller.post(ALL, TO_ALL)
    caller.api.advance(2)
    for event in caller.api.take_events():
        follower = platform.follower(event.openid or "mphelper")
        follower.push(follower.event(event.name, **event.fields))
    assert [fields["Event"] for fields in pushed] == ["PUBLISHJOBFINISH", "MASSSENDJOBFINISH"]
    assert pushed[0]["PublishEventInfo"]["article_detail"]["count"] == "1"
    assert pushed[1]["FromUserName"] == "mphelper"
