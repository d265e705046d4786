"""Bodies of pushes and replies as XML."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.wechat.strategies import any_text, legal_text
from wechat_bot.wechat import xml
from wechat_bot.wechat.errors import MalformedMessage

NAMES = st.sampled_from(["Content", "MediaId", "item"])
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        legal_text.filter(bool) | st.none(),
        lambda inner: st.dictionaries(NAMES, inner, min_size=1) | st.lists(inner, min_size=2, max_size=3),
        max_leaves=6,
    ),
    min_size=1,
)


def _flat(value: Any) -> Any:
    """`value` as XML can express it: without lists in lists."""
    if isinstance(value, dict):
        return {name: _flat(inner) for name, inner in value.items()}
    if isinstance(value, list):
        flat = [_flat(item) for item in value]
        return [item for part in flat for item in (part if isinstance(part, list) else [part])]
    return value


@given(TREES)
def test_whatever_is_built_is_read_unchanged(tree: xml.Fields) -> None:
    assert xml.parse(xml.build(tree).encode()) == _flat(tree)


@given(legal_text)
def test_another_parser_reads_the_same_text(text: str) -> None:
    root = ElementTree.fromstring(xml.build({"Content": text}))
    assert (root.tag, root.findtext("Content")) == ("xml", text)


@given(any_text)
@example("]]></Content><Content>&lt;\r\n<![CDATA[")
@example("\x00\x0b\ud800\udfff\ufffe\uffff")
def test_no_text_can_break_a_reply(text: str) -> None:
    root = ElementTree.fromstring(xml.build({"Content": text}))
    assert len(root) == 1
    assert (root.findtext("Content") or "") == xml.strip_illegal_characters(text)


def test_only_what_xml_forbids_is_removed() -> None:
    assert (
        xml.strip_illegal_characters("a\x00\t\n\r\x7f\x85\ue001\U0010ffff😀\ufffe\ud83d")
        == "a\t\n\r\x7f\x85\ue001\U0010ffff😀"
    )


ILLEGAL_TEXTS = [
    "".join(chr(code) for code in range(32) if chr(code) != "\r"),
    "\x01\U0010ff01",
    "\ufffe\uffff",
]


def received(text: str) -> str:
    """`text` as it is read when the platform sends it; in XML, a carriage return is a line break."""
    body = f"<xml><Content><![CDATA[{text}]]></Content></xml>".encode()
    return xml.parse(body)["Content"] or ""


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="]\r\ufffe\uffff"), max_size=60))
def test_a_follower_s_text_is_kept_as_sent(text: str) -> None:
    assert received(text) == text


@pytest.mark.parametrize("text", ILLEGAL_TEXTS, ids=ascii)
def test_a_follower_may_send_what_xml_forbids(text: str) -> None:
    assert received(text) == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"hello",
        b"MsgType=text&Content=hi",
        b'{"MsgType": "text"}',
        b"<html><body>hi</body></html>",
        b"<xmlns><a>1</a></xmlns>",
        b"<xml/>",
        b"<xml></xml>",
        b"<xml>text</xml>",
        b"<xml><a>1</a>",
        b"<xml><a>1</b></xml>",
        b"<xml><a>1</a></xml><xml><a>2</a></xml>",
        b"<xml><a><![CDATA[1]]</a></xml>",
        b"<xml><a>\xff\xfe</a></xml>",
        b"<xml><a>\xed\xa0\x80</a></xml>",
        b"<xml><a>&nbsp;</a></xml>",
        b"<xml><a\x01>1</a\x01></xml>",
        "<xml><a>1</a></xml>".encode("utf-16"),
        "\ufeff<xml><a>1</a></xml>".encode(),
        b"<!-- --><xml><a>1</a></xml>",
        b"<!DOCTYPE xml><xml><a>1</a></xml>",
        b'<!DOCTYPE xml [<!ENTITY e "x">]><xml><a>&e;</a></xml>',
        b'<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><a>&e;</a></xml>',
        b'<?xml version="1.0"?><!DOCTYPE xml SYSTEM "http://example.com/x.dtd"><xml><a>1</a></xml>',
        b"<xml><!DOCTYPE xml><a>1</a></xml>",
        b"<xml>" + b"<a>" * 9 + b"</a>" * 9 + b"</xml>",
        b"<xml>" + b"<a>" * 10_000 + b"</a>" * 10_000 + b"</xml>",
        b"<xml>" + b"<a>" * 10_000,
    ],
    ids=lambda body: ascii(body[:60]),
)
def test_everything_else_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        xml.parse(body)


def test_the_deepest_event_is_not_too_deep() -> None:
    assert xml.parse(b"<xml><a><b><c><d>1</d></c></b></a></xml>") == {"a": {"b": {"c": {"d": "1"}}}}


def test_white_space_between_elements_is_nothing() -> None:
    assert xml.parse(b"\n<xml>\n <a> 1 </a>\n <b>\n  <c/>\n </b>\n</xml>\n") == {"a": " 1 ", "b": {"c": None}}
