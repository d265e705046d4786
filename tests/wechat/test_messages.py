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
from tests.wechat.strategies import thorough
from wechat_bot.wechat import xml
from wechat_bot.wechat.errors import MalformedMessage
from wechat_bot.wechat.messages import CardEvent, Event, FollowerEvent, Message
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


# Messages that make no sense

TEXT = {**HEAD, "MsgType": "text", "Content": "hi", "MsgId": "1"}
LOCATION = {**HEAD, "MsgType": "location", "Location_X": "1", "Location_Y": "2", "MsgId": "1"}
SUBSCRIBE = {**HEAD, "MsgType": "event", "Event": "subscribe"}


@pytest.mark.parametrize("wrong", [None, "", " \n", ["a", "b"], {"a": "b"}], ids=repr)
@pytest.mark.parametrize(
    ("fields", "name"),
    [
        *((TEXT, name) for name in ("ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId")),
        (SUBSCRIBE, "Event"),
        ({**TEXT, "MsgType": "image", "MediaId": "m"}, "MediaId"),
        ({**TEXT, "MsgType": "voice", "MediaId": "m"}, "MediaId"),
        ({**TEXT, "MsgType": "video", "MediaId": "m"}, "MediaId"),
        ({**TEXT, "MsgType": "link", "Url": "u"}, "Url"),
        (LOCATION, "Location_X"),
        (LOCATION, "Location_Y"),
    ],
)
def test_what_identifies_a_message_must_be_there_once(fields: xml.Fields, name: str, wrong: object) -> None:
    parse(fields)
    with pytest.raises(MalformedMessage, match=name):
        parse({**fields, name: wrong})


@pytest.mark.parametrize("wrong", [["a", "b"], {"a": "b"}], ids=repr)
@pytest.mark.parametrize(
    ("fields", "name"), [(TEXT, "Content"), (TEXT, "bizmsgmenuid"), (SUBSCRIBE, "EventKey")]
)
def test_a_text_must_not_be_repeated_or_nested(fields: xml.Fields, name: str, wrong: object) -> None:
    with pytest.raises(MalformedMessage, match=name):
        parse({**fields, name: wrong})


def test_a_text_message_needs_a_content() -> None:
    with pytest.raises(MalformedMessage, match="Content"):
        parse({name: value for name, value in TEXT.items() if name != "Content"})


@pytest.mark.parametrize(
    ("fields", "name", "wrong"),
    [
        *((TEXT, "CreateTime", text) for text in ("soon", "-1", "1.5", "１", "1e9", "1767225600000")),
        *((TEXT, "MsgId", text) for text in ("abc", "-1", "1 2", "９", "1" * 21)),
        *((LOCATION, "Location_X", text) for text in ("north", "NaN", "1,5", "1e3", "１", "1" * 21)),
        ({**SUBSCRIBE, "Event": "MASSSENDJOBFINISH"}, "TotalCount", "many"),
        ({**SUBSCRIBE, "Event": "verify_expired"}, "ExpiredTime", "-5"),
    ],
)
def test_a_number_must_be_one(fields: xml.Fields, name: str, wrong: str) -> None:
    with pytest.raises(MalformedMessage, match=name):
        parse({**fields, name: wrong})


@pytest.mark.parametrize("name", ["ToUserName", "FromUserName", "MsgType"])
@pytest.mark.parametrize("wrong", ["两", "a b", "a\x00", "a" * 65])
def test_an_identifier_is_short_and_has_no_strange_characters(name: str, wrong: str) -> None:
    with pytest.raises(MalformedMessage, match=name):
        parse({**TEXT, name: wrong})


# Which pushes are the same message


@pytest.mark.parametrize("name", ["messages/text", "events/subscribe"])
def test_a_retry_has_the_key_of_the_first_push(name: str) -> None:
    assert read(name).dedup_key == read(name).dedup_key


def test_a_message_is_known_by_its_id_alone() -> None:
    later = {**TEXT, "CreateTime": "2", "Content": "other"}
    assert parse(TEXT).dedup_key == parse(later).dedup_key


IDENTITIES = st.tuples(*[st.sampled_from(["1", "11", "111"])] * 3)


@thorough
@given(IDENTITIES, IDENTITIES)
def test_messages_share_a_key_exactly_if_account_sender_and_id_are_the_same(
    first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    def key(identity: tuple[str, ...]) -> str:
        names = ("ToUserName", "FromUserName", "MsgId")
        return parse({**TEXT, **dict(zip(names, identity, strict=True))}).dedup_key

    assert (key(first) == key(second)) == (first == second)


EVENTS = [read(name).fields for name, message in BODIES.items() if isinstance(message, Event)]
OTHER = st.text("1a ", max_size=2) | st.none() | st.lists(st.text("1a"), min_size=2, max_size=2)


@thorough
@given(st.sampled_from(EVENTS), st.data())
def test_events_that_differ_in_any_field_have_different_keys(
    fields: Mapping[str, Any], data: st.DataObject
) -> None:
    free = sorted(set(fields) - {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"})
    changed = {**fields, data.draw(st.sampled_from([*free, "New"])): data.draw(OTHER)}
    try:
        other = parse(changed)
    except MalformedMessage:
        return
    assert (parse(dict(fields)).dedup_key == other.dedup_key) == (changed == fields)


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
