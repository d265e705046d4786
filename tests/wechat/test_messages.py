"""What the platform pushes, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wechat.corpus import BODIES, DATA, body
from wechat_bot.wechat import xml
from wechat_bot.wechat.errors import MalformedMessage
from wechat_bot.wechat.messages import CardEvent, Event, FollowerEvent, MassSentEvent, Message, TextMessage
from wechat_bot.wechat.parsing import parse

HEAD = {"ToUserName": "gh_1a2b3c4d5e6f", "FromUserName": "oAbCd1EfGh2IjKl3MnOp4QrSt5Uv", "CreateTime": "1"}


def read(name: str) -> Message:
    return parse(xml.parse(body(name)))


@pytest.mark.parametrize("name", BODIES)
def test_every_documented_push_becomes_its_value(name: str) -> None:
    assert replace(read(name), fields={}) == BODIES[name]


def test_every_body_has_its_meaning_written_down() -> None:
    files = {path.relative_to(DATA).with_suffix("").as_posix() for path in DATA.glob("*/*.xml")}
    assert files == set(BODIES)


@pytest.mark.parametrize("name", [name for name in BODIES if "control" not in name])  # expat refuses those
def test_every_element_of_a_push_is_kept(name: str) -> None:
    assert read(name).fields == _children(ElementTree.fromstring(body(name)))


def _children(parent: ElementTree.Element) -> Any:
    """The contents of an element as another parser reads them."""
    if not len(parent):
        return parent.text
    found: dict[str, list[Any]] = {}
    for child in parent:
        found.setdefault(child.tag, []).append(_children(child))
    return {tag: values if len(values) > 1 else values[0] for tag, values in found.items()}


@pytest.mark.parametrize(
    "name",
    [
        "card_pass_check",
        "card_not_pass_check",
        "user_get_card",
        "user_gifting_card",
        "user_del_card",
        "user_consume_card",
        "user_pay_from_pay_cell",
        "user_view_card",
        "user_enter_session_from_card",
        "update_member_card",
        "card_sku_remind",
        "card_pay_order",
        "submit_membercard_user_info",
        "card_merchant_check_result",
        "giftcard_pay_done",
        "giftcard_send_to_friend",
        "giftcard_user_accept",
    ],
)
def test_every_event_of_the_card_family_is_a_card_event(name: str) -> None:
    event = parse({**HEAD, "MsgType": "event", "Event": name, "CardId": "pCaRd", "UserCardCode": "42"})
    assert isinstance(event, CardEvent)
    assert (event.card_id, event.user_card_code) == ("pCaRd", "42")


@pytest.mark.parametrize(
    ("names", "from_follower", "answerable"),
    [
        ("subscribe scan click scancode_push scancode_waitmsg pic_sysphoto location_select", True, True),
        ("unsubscribe location view view_miniprogram", True, False),
        (
            "template_sent mass_sent published notice_popup kf_create_session verify_expired"
            " user_info_modified card_received unknown",
            False,
            False,
        ),
    ],
)
def test_a_reply_is_shown_only_where_the_platform_shows_it(
    names: str, from_follower: bool, answerable: bool
) -> None:
    for name in names.split():
        event = read(f"events/{name}")
        assert (event.from_follower, event.answerable) == (from_follower, answerable), name
        assert isinstance(event, FollowerEvent) is from_follower, name


@pytest.mark.parametrize("name", ["text", "image", "location", "unknown"])
def test_every_message_comes_from_a_follower_who_can_be_answered(name: str) -> None:
    message = read(f"messages/{name}")
    assert message.from_follower
    assert message.answerable


# Messages that are understood in part

TEXT = {**HEAD, "MsgType": "text", "Content": "hi", "MsgId": "1"}
IMAGE = {**TEXT, "MsgType": "image", "MediaId": "m"}
LOCATION = {**HEAD, "MsgType": "location", "Location_X": "1", "Location_Y": "2", "MsgId": "1"}
SUBSCRIBE = {**HEAD, "MsgType": "event", "Event": "subscribe"}
CLICK = {**SUBSCRIBE, "Event": "CLICK", "EventKey": "k"}
REPORT = {**LOCATION, "MsgType": "event", "Event": "LOCATION", "Latitude": "1", "Longitude": "2"}
REPORT |= {"Precision": "3"}
MASS_SENT = {**SUBSCRIBE, "Event": "MASSSENDJOBFINISH"}
NESTED: list[Any] = [["a", "b"], {"a": "b"}]


@pytest.mark.parametrize(
    ("fields", "name", "attribute", "wrong"),
    [
        (IMAGE, "MediaId", "media_id", [None, "", " \n", *NESTED]),
        ({**IMAGE, "MsgType": "voice"}, "MediaId", "media_id", [None, *NESTED]),
        ({**IMAGE, "MsgType": "shortvideo"}, "MediaId", "media_id", [None, *NESTED]),
        ({**TEXT, "MsgType": "link", "Url": "u"}, "Url", "url", [None, "", *NESTED]),
        (LOCATION, "Location_X", "latitude", [None, "", "north", "NaN", "1,5", "1e3", "１", "1" * 21]),
        (LOCATION, "Location_Y", "longitude", [None, *NESTED]),
        (REPORT, "Latitude", "latitude", [None, "", "-"]),
        (REPORT, "Precision", "precision", [None, "", "exact"]),
        (MASS_SENT, "TotalCount", "total_count", ["many", "-1", *NESTED]),
        ({**SUBSCRIBE, "Event": "verify_expired"}, "ExpiredTime", "expired_time", ["-5", "2026-11-01"]),
        ({**SUBSCRIBE, "Event": "naming_verify_fail"}, "FailTime", "fail_time", ["-1", *NESTED]),
    ],
)
def test_a_message_keeps_its_type_and_has_none_for_what_is_not_understood(
    fields: xml.Fields, name: str, attribute: str, wrong: list[object]
) -> None:
    kind = type(parse(fields))
    for value in wrong:
        changed = {**fields, name: value}
        message = parse(changed)
        assert (type(message), message.invalid_fields) == (kind, (name,)), value
        assert getattr(message, attribute) is None
        assert message.fields == changed


@pytest.mark.parametrize(
    ("fields", "name", "attribute"),
    [
        (TEXT, "Content", "content"),
        (TEXT, "bizmsgmenuid", "menu_id"),
        (CLICK, "EventKey", "key"),
        ({**IMAGE, "MsgType": "voice"}, "Recognition", "recognition"),
    ],
)
def test_a_text_that_is_repeated_or_nested_is_empty(fields: xml.Fields, name: str, attribute: str) -> None:
    for value in NESTED:
        message = parse({**fields, name: value})
        assert type(message) is type(parse(fields))
        assert (getattr(message, attribute), message.invalid_fields) == ("", (name,))


def test_an_element_that_may_be_missing_is_not_invalid() -> None:
    report = parse(MASS_SENT | {"FilterCount": " ", "SentCount": " 7\n"})
    assert isinstance(report, MassSentEvent)
    assert (report.total_count, report.filter_count, report.sent_count) == (None, None, 7)
    assert report.invalid_fields == ()


def test_a_text_without_content_is_empty() -> None:
    message = parse({name: value for name, value in TEXT.items() if name != "Content"})
    assert isinstance(message, TextMessage)
    assert (message.content, message.invalid_fields) == ("", ("Content",))


@pytest.mark.parametrize(
    "wrong", [None, "", "abc", "-1", "1 2", "９", "1" * 21, "0", "000", *NESTED], ids=repr
)
def test_a_message_without_a_valid_id_has_none(wrong: object) -> None:
    message = parse({**TEXT, "MsgId": wrong})
    assert isinstance(message, TextMessage)
    assert (message.msg_id, message.invalid_fields) == ("", ("MsgId",))


@pytest.mark.parametrize(
    "wrong", [None, "", "soon", "-1", "1.5", "１", "1e9", "1767225600000", "9" * 21, *NESTED], ids=repr
)
def test_a_message_without_a_valid_time_has_ours(wrong: object) -> None:
    message = parse({**TEXT, "CreateTime": wrong}, clock=lambda: 1767225600.5)
    assert message.created_at.timestamp() == 1767225600.5
    assert message.invalid_fields == ("CreateTime",)


@pytest.mark.parametrize("wrong", [None, "", "两", "a b", "a\x00", "o" * 65, *NESTED], ids=repr)
@pytest.mark.parametrize("fields", [SUBSCRIBE, CLICK, MASS_SENT])
def test_an_event_without_a_valid_sender_can_be_answered_to_nobody(fields: xml.Fields, wrong: object) -> None:
    event = parse({**fields, "FromUserName": wrong})
    assert type(event) is type(parse(fields))
    assert (event.openid, event.answerable, event.invalid_fields) == ("", False, ("FromUserName",))


def test_an_account_that_is_no_identifier_is_answered_all_the_same() -> None:
    message = parse({**TEXT, "ToUserName": "公众号"})
    assert (message.account, message.invalid_fields) == ("公众号", ())
    assert parse({**TEXT, "ToUserName": None}).invalid_fields == ("ToUserName",)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (None, "unknown"),
        (" ", "unknown"),
        ({"a": "b"}, "unknown"),
        ("A" * 65, "a" * 64),
        ("Some Event", "some event"),
        ("事件\x00", "事件"),
        ("\u0130" * 64, "i\u0307" * 32),
    ],
)
def test_a_name_that_is_none_makes_a_plain_message_or_event(wrong: object, name: str) -> None:
    message, event = parse({**TEXT, "MsgType": wrong}), parse({**SUBSCRIBE, "Event": wrong})
    assert type(message) is Message
    assert (message.kind, message.msg_id, message.invalid_fields) == (name, "1", ("MsgType",))
    assert type(event) is Event
    assert (event.name, event.invalid_fields) == (name, ("Event",))


@pytest.mark.parametrize("nothing", [None, "", " \n", {}, []], ids=repr)
def test_what_has_neither_sender_nor_event_is_no_message(nothing: object) -> None:
    with pytest.raises(MalformedMessage, match="neither FromUserName nor Event"):
        parse({**TEXT, "FromUserName": nothing, "Event": nothing})


# Which pushes are the same message


@pytest.mark.parametrize("name", ["messages/text", "events/subscribe"])
def test_a_retry_has_the_key_of_the_first_push(name: str) -> None:
    assert read(name).dedup_key == read(name).dedup_key


def test_a_message_is_known_by_its_id_and_time() -> None:
    assert parse(TEXT).dedup_key == parse({**TEXT, "Content": "other"}).dedup_key
    assert parse(TEXT).dedup_key != parse({**TEXT, "CreateTime": "2"}).dedup_key


@pytest.mark.parametrize("no_id", [None, "0", "abc"])
def test_a_message_without_an_id_is_known_by_all_that_is_in_it(no_id: str | None) -> None:
    message = {**TEXT, "MsgId": no_id}
    assert parse(message).dedup_key == parse(message, clock=lambda: 7.0).dedup_key
    assert parse(message).dedup_key != parse({**message, "Content": "other"}).dedup_key


def test_a_retry_is_known_by_its_time_also_if_that_is_none() -> None:
    message = {**TEXT, "CreateTime": "1767225600000"}
    assert parse(message, clock=lambda: 1.0).dedup_key == parse(message, clock=lambda: 6.0).dedup_key
    assert parse(message).dedup_key != parse({**message, "CreateTime": "1767225605000"}).dedup_key


IDENTITIES = st.tuples(*[st.sampled_from(["1", "11", "111"])] * 4)


@given(IDENTITIES, IDENTITIES)
def test_messages_share_a_key_exactly_if_account_sender_id_and_time_are_the_same(
    first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    def key(identity: tuple[str, ...]) -> str:
        names = ("ToUserName", "FromUserName", "MsgId", "CreateTime")
        return parse({**TEXT, **dict(zip(names, identity, strict=True))}).dedup_key

    assert (key(first) == key(second)) == (first == second)


EVENTS = [read(name).fields for name, message in BODIES.items() if isinstance(message, Event)]
OTHER = st.text("1a ", max_size=2) | st.none() | st.lists(st.text("1a"), min_size=2, max_size=2)


@given(st.sampled_from(EVENTS), st.data())
def test_events_that_differ_in_any_field_have_different_keys(
    fields: Mapping[str, Any], data: st.DataObject
) -> None:
    free = sorted(set(fields) - {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"})
    changed = {**fields, data.draw(st.sampled_from([*free, "New"])): data.draw(OTHER)}
    assert (parse(dict(fields)).dedup_key == parse(changed).dedup_key) == (changed == fields)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("ToUserName", "gh_2"),
        ("FromUserName", "o2"),
        ("CreateTime", "2"),
        ("Event", "unsubscribe"),
        ("EventKey", "qrscene_1"),
    ],
)
def test_an_event_is_known_by_account_sender_second_name_and_key(name: str, other: str) -> None:
    assert parse(SUBSCRIBE).dedup_key != parse({**SUBSCRIBE, name: other}).dedup_key


def test_the_order_of_the_elements_does_not_matter() -> None:
    assert parse(SUBSCRIBE).dedup_key == parse(dict(reversed(SUBSCRIBE.items()))).dedup_key
