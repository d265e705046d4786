"""Bodies of pushes that are not well-formed, or have elements that a follower wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.wechat.corpus import BODIES, body
from wechat_bot.wechat import parsing, xml
from wechat_bot.wechat.errors import MalformedMessage
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.repair import read

HEAD = {"ToUserName": "gh_1", "FromUserName": "o1", "CreateTime": "1", "MsgType": "text"}


def pasted(texts: dict[str, str], **more: str) -> bytes:
    """A push in which texts are pasted into CDATA as they are."""
    elements = {name: f"<![CDATA[{text}]]>" for name, text in (HEAD | texts).items()} | more
    return f"<xml>{''.join(f'<{name}>{text}</{name}>' for name, text in elements.items())}</xml>".encode()


@pytest.mark.parametrize("name", BODIES)
def test_a_well_formed_push_is_read_by_the_parser(name: str) -> None:
    assert read(body(name)) == xml.parse(body(name))


MARKUP = (
    "]]> <![CDATA[ ]]></Content> <Content> <Content><![CDATA[ <Event>unsubscribe</Event> </xml> <xml> <!--"
    " --> <MsgType>event</MsgType> <bizmsgmenuid>7</bizmsgmenuid> & &amp; \x08 \ufffe <a> </a> <!DOCTYPE"
)
FRAGMENTS = st.sampled_from([*MARKUP.split(" "), " ", "\n"])


@given(st.lists(FRAGMENTS | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))))
@example(["]]></Content><MsgType><![CDATA[event]]></MsgType><Content><![CDATA["])
@example(["]]></Content><bizmsgmenuid>7</bizmsgmenuid><Content><![CDATA["])
@example(["]]><b>bold</b><![CDATA["])
@example(["]]></Content><a><![CDATA["])
@example(["a ]]> b <![CDATA[ c"])
def test_what_a_follower_writes_is_text_whatever_it_is(fragments: list[str]) -> None:
    text = "".join(fragments)
    assume("]]><![CDATA[>" not in text and "]]>&#" not in text)  # which escape something
    fields = read(pasted({"Content": text}, MsgId="7"))
    assert fields == {**HEAD, "Content": text or None, "MsgId": "7"}
    message = parsing.parse(fields)
    assert isinstance(message, TextMessage)
    assert (message.openid, message.msg_id, message.menu_id) == ("o1", "7", "")


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("voice", {"MediaId": "m", "Format": "amr", "Recognition": "a ]]> b"}),
        ("location", {"Location_X": "1", "Location_Y": "2", "Label": "a[b[0]]>c"}),
        ("link", {"Title": "a ]]> b", "Description": "</Title> ]]> <b>", "Url": "http://a/?b=]]>"}),
        ("link", {"Title": "]]></Title><Title><![CDATA[", "Description": "d", "Url": "u"}),
        ("miniprogrampage", {"Title": "t", "PagePath": "]]></PagePath><Url>u</Url><PagePath><![CDATA["}),
        ("event", {"Event": "CLICK", "EventKey": "a ]]> b"}),
        ("unheard", {"Unknown": "a ]]> b"}),
    ],
)
def test_every_text_of_a_follower_is_kept_whole(kind: str, texts: dict[str, str]) -> None:
    assert read(pasted({"MsgType": kind, **texts}, MsgId="7")) == {
        **HEAD,
        "MsgType": kind,
        **texts,
        "MsgId": "7",
    }


def test_a_scanned_code_is_text_inside_its_element() -> None:
    info = "<ScanType><![CDATA[qrcode]]></ScanType><ScanResult><![CDATA[a ]]> b]]></ScanResult>"
    fields = read(pasted({"MsgType": "event", "Event": "scancode_push"}, ScanCodeInfo=info))
    assert fields["ScanCodeInfo"] == {"ScanType": "qrcode", "ScanResult": "a ]]> b"}


@pytest.mark.parametrize(
    "scanned",
    [
        "]]></ScanResult><ScanResult><![CDATA[",
        "]]></ScanResult><ScanType><![CDATA[barcode]]></ScanType><ScanResult><![CDATA[",
        "]]></ScanResult></ScanCodeInfo><EventKey>k</EventKey><ScanCodeInfo><ScanResult><![CDATA[",
    ],
)
def test_a_scanned_code_forges_no_element(scanned: str) -> None:
    info = f"<ScanType>qrcode</ScanType><ScanResult><![CDATA[{scanned}]]></ScanResult>"
    fields = read(pasted({"MsgType": "event", "Event": "scancode_push"}, ScanCodeInfo=info))
    assert fields["ScanCodeInfo"] == {"ScanType": "qrcode", "ScanResult": scanned}
    assert "EventKey" not in fields


def test_deep_nesting_ends_in_text() -> None:
    value: Any = read(pasted({}, a="<a>" * 20 + "1" + "</a>" * 20))
    for _ in range(8):
        value = value["a"]
    assert value == "<a>" * 13 + "1" + "</a>" * 13


def test_of_an_element_that_is_repeated_the_first_counts() -> None:
    assert read(pasted({}, MediaId="one</MediaId><MediaId>two"))["MediaId"] == "one"


def test_text_without_cdata_is_unescaped() -> None:
    assert read(pasted({}, Content="R&D &lt;b&gt; &amp;", Empty="", None_="<b"))["Content"] == "R&D <b> &"


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"a\xed\xa0\xbd\xed\xb8\x80b", "a" + "\ufffd" * 6 + "b"),  # CESU-8
        ("你好".encode("gbk"), "\ufffd" * 3),
        ("你好".encode()[:-1] + b" ]]> ", "你\ufffd ]]> "),
        (b"\xef\xbf\xbf\x00\xe9", "\uffff\x00\ufffd"),
        (b"a]]>\r\nb\rc", "a]]>\nb\nc"),
    ],
)
def test_bytes_that_are_no_text_are_replaced(sent: bytes, text: str) -> None:
    assert read(pasted({"Content": "@"}).replace(b"@", sent))["Content"] == text


@pytest.mark.parametrize("times", [1, 2, 5000])
def test_byte_order_marks_are_ignored(times: int) -> None:
    assert read(b"\xef\xbb\xbf" * times + pasted({"Content": "a"})) == {**HEAD, "Content": "a"}


def test_the_escape_of_a_control_character_is_text_when_it_is_sent() -> None:
    fields = read(pasted({}, Content="&#x10FF00;ff; \x08 &#x10FF00;zz;"))
    assert fields["Content"] == "\U0010ff00ff; \x08 \U0010ff00zz;"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello ]]>",
        b"<html><MsgType>text</MsgType>]]></html>",
        pasted({"Content": "]]>"})[:-1],
        pasted({"Content": "]]>"}).replace(b"</Content>", b""),
        pasted({"Content": "]]>"}).replace(b"</MsgType>", b""),
        pasted({"Content": "]]>"}).replace(b"<MsgType>", b"stray <MsgType>"),
        b"<!DOCTYPE xml>" + pasted({"Content": "]]>"}),
        pasted({"Content": "]]>"}).replace(b"<xml>", b"<xml><!DOCTYPE xml>"),
        pasted({"Content": "]]>"}).replace(b"<xml>", b"<xml><Content>x</Content>"),
        b'<!DOCTYPE xml [<!ENTITY e "x">]><xml><MsgType>&e;</MsgType></xml>',
        b"<xml>" + b"".join(b"<a%d>1</a%d>" % (n, n) for n in range(100)) + b"]]></xml>",
        b"<xml>" + b"<a>" * 100_000,
        "<xml><MsgType>text</MsgType></xml>".encode("utf-16"),
    ],
    ids=lambda body: ascii(body[:60]),
)
def test_what_is_no_push_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read(body)


@pytest.mark.parametrize(
    "part", [b"</Content>x", b"<a></a>", b"<a>", b"]]>", b" ", b"<Content>", b"<!--"], ids=ascii
)
def test_a_megabyte_of_anything_is_read(part: bytes) -> None:
    text = b"]]>" + part * (1_000_000 // len(part))
    assert read(pasted({"Content": "@"}).replace(b"@", text))["Content"] == text.decode()
