"""What the platform answers is read as it comes (section 0.3)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from tests.cases import API
from tests.wechat.api.recorded import OK, OPENID, OTHER, Recorded
from wechat_bot.wechat.api.draft import Item as DraftItem
from wechat_bot.wechat.api.system import Rule
from wechat_bot.wechat.api.users import User
from wechat_bot.wechat.api.values import OpenIDPage, Records, convert
from wechat_bot.wechat.errors import NotFollowing, Unreachable

REMARKS = {
    "B-bad-utf8-cut": "老�",
    "B-bad-utf8-latin1": "SN�",
    "B-escaped-lone-surrogate": "�",
    "B-plain": "老王",
    "B-raw-x08": "老\x08王",
    "B-raw-x14-start": "\x14晨",
}
"""What the second of three followers is called, by case."""


def raw(content: bytes) -> Recorded:
    return Recorded([httpx2.Response(200, content=content, headers={"Content-Type": "text/plain"})])


# Bytes


@pytest.mark.parametrize("name", REMARKS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "bom"])
def test_odd_bytes_change_nothing_but_the_text_that_has_them(name: str, mark: bytes) -> None:
    content = mark + (API / f"{name}.json").read_bytes()
    users = raw(content).client.users.batch([OPENID])
    assert [user.remark for user in users] == ["", REMARKS[name], ""]
    assert users.unreadable == ()


def test_the_nickname_of_a_visitor_may_have_a_control_character() -> None:
    client = raw((API / "B-userinfo-x07.json").read_bytes()).client
    assert client.oauth.user("ToKeN", "oVisitor0000000000000000001").nickname == "晨\x07光"


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud83d", "�"),
        (r"\ude00!", "�!"),
        (r"\ude00\ud83d", "��"),
        (r"\ud83d\ude00", "😀"),
        (r"\\ud83d", r"\ud83d"),
    ],
)
def test_every_text_can_be_encoded(escaped: str, text: str) -> None:
    [tag] = raw(b'{"tags":[{"id":100,"name":"%s"}]}' % escaped.encode()).client.tags.list()
    assert tag.name == text
    tag.name.encode()


def test_an_error_message_can_be_encoded() -> None:
    with pytest.raises(NotFollowing, match="�"):
        raw(rb'{"errcode":40003,"errmsg":"invalid \ud83d"}').client.users.get(OPENID)


# Types


@pytest.mark.parametrize("errcode", ["40003", 40003], ids=repr)
def test_an_errcode_may_be_text(errcode: Any) -> None:
    with pytest.raises(NotFollowing) as caught:
        Recorded([{"errcode": errcode, "errmsg": "invalid openid"}]).client.users.get(OPENID)
    assert caught.value.errcode == 40003


@pytest.mark.parametrize("errcode", ["0", 0, "", None], ids=repr)
def test_an_errcode_that_says_nothing_is_success(errcode: Any) -> None:
    assert Recorded([{"errcode": errcode, "openid": OPENID}]).client.users.get(OPENID) == User(OPENID)


def test_numbers_may_be_texts_and_lists_may_be_missing() -> None:
    user = {
        "openid": OPENID,
        "subscribe": "1",
        "subscribe_time": " 1767225600",
        "qr_scene": 98765.0,
        "remark": None,
        "tagid_list": "",
        "groupid": "",
    }
    read = User(OPENID, subscribe=True, subscribe_time=1767225600, qr_scene=98765)
    assert convert(User, user) == read
    assert convert(User, {**user, "tagid_list": None}) == read
    assert convert(User, {**user, "tagid_list": ["134", 2]}) == replace(read, tagid_list=(134, 2))


@pytest.mark.parametrize("number", ["-", "soon", "1.5", 1.5, float("nan"), [], {}], ids=repr)
def test_what_is_no_number_is_refused(number: Any) -> None:
    with pytest.raises(Unreachable, match=r"User\.groupid"):
        convert(User, {"openid": OPENID, "groupid": number})


@pytest.mark.parametrize(
    "answer",
    [
        {"total": "0", "count": "0", "data": "", "next_openid": None},
        {"total": None, "data": None},
        {"data": {"openid": None}},
        {"data": {"openid": ""}},
    ],
    ids=str,
)
def test_a_list_without_followers_has_many_forms(answer: dict[str, Any]) -> None:
    assert Recorded([answer]).client.users.list() == OpenIDPage(0, Records(), "")


def test_a_list_of_drafts_may_be_null() -> None:
    page = Recorded([{"total_count": "0", "item_count": 0, "item": None}]).client.draft.list()
    assert (page.total, page.items) == (0, ())


@pytest.mark.parametrize("seconds", [7200, "7200"], ids=repr)
def test_the_life_of_a_ticket_may_be_text(seconds: Any) -> None:
    answer = {**OK, "ticket": "TiCkEt", "expires_in": seconds}
    platform = Recorded([answer])
    client = platform.client
    assert (client.jssdk.ticket(), client.jssdk.ticket()) == ("TiCkEt", "TiCkEt")
    assert len(platform.requests) == 1


# One odd record


def test_one_odd_follower_in_a_hundred_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    records: list[Any] = [{"openid": f"o{number:027}", "subscribe": 1} for number in range(100)]
    records[41]["subscribe_time"] = "yesterday"
    users = Recorded([{"user_info_list": records}]).client.users.batch([])
    assert [user.openid for user in users] == [f"o{n:027}" for n in range(100) if n != 41]
    assert users.unreadable == (f"o{41:027}",)
    assert f"'o{41:027}' is left out: an answer whose user_info_list.subscribe_time" in caplog.text


@pytest.mark.parametrize("odd", [None, "", 7, [], {}, {"openid": None}, {"openid": {}}], ids=repr)
def test_a_record_without_a_name_is_named_by_its_place(odd: Any) -> None:
    users = Recorded([{"user_info_list": [{"openid": OTHER}, odd]}]).client.users.batch([])
    assert (users, users.unreadable) == ((User(OTHER),), ("user_info_list 2",))


def test_an_odd_openid_does_not_end_the_list() -> None:
    pages = [
        {"total": 3, "count": 2, "data": {"openid": [OPENID, None]}, "next_openid": OPENID},
        {"total": 3, "count": 1, "data": {"openid": [OTHER]}, "next_openid": OTHER},
        {"total": 3, "count": 0},
    ]
    assert list(Recorded(list[Any](pages)).client.users.iter_openids()) == [OPENID, OTHER]


def test_an_odd_draft_does_not_end_the_list() -> None:
    drafts: list[Any] = [{"media_id": name} for name in "ABC"]
    drafts[1]["content"] = {"news_item": [{"title": ["?"]}]}
    pages = [{"total_count": 3, "item": drafts[:2]}, {"total_count": 3, "item": drafts[2:]}]
    platform = Recorded(list[Any](pages))
    page = platform.client.draft.list()
    assert (page.items, page.items.unreadable) == ((DraftItem("A"),), ("B",))
    platform = Recorded(list[Any](pages))
    assert list(platform.client.draft.iterate()) == [DraftItem("A"), DraftItem("C")]
    assert [json.loads(request.content)["offset"] for request in platform.requests] == [0, 2]


def test_an_odd_rule_spoils_no_other_rule() -> None:
    rules = [{"rule_name": "问好", "create_time": "?"}, {"rule_name": "帮助", "create_time": "1767225600"}]
    replies = Recorded([{"keyword_autoreply_info": {"list": rules}}]).client.system.auto_replies()
    found = replies.keyword_autoreply_info
    assert (found, found.unreadable) == ((Rule("帮助", 1767225600),), ("问好",))
