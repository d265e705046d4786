"""How what followers write becomes markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import escape

from wechat_bot.blueprints.shared import display
from wechat_bot.services.search.tokens import Query
from wechat_bot.wechat.faces import FACE_CODE, FACES


@pytest.mark.parametrize(
    ("text", "address", "after"),
    [
        ("看https://example.com/a?b=1这里", "https://example.com/a?b=1", "这里"),
        ("http://example.com。", "http://example.com", "。"),
        ("(https://example.com/x).", "https://example.com/x)", "."),
    ],
)
def test_the_chinese_text_after_an_address_is_not_part_of_the_link(
    text: str, address: str, after: str
) -> None:
    shown = display.rich(text)
    assert f'href="{address}"' in shown
    assert shown.endswith(f"</a>{after}")
    assert 'rel="noopener noreferrer nofollow"' in shown


def test_only_web_addresses_become_links() -> None:
    assert "<a" not in display.rich("javascript:alert(1) data:text/html,x ftp://x")
    assert display.web_address("javascript:alert(1)//https://x") is None


def test_markup_in_a_text_is_shown_as_text() -> None:
    assert display.rich("<b onclick=x>") == "&lt;b onclick=x&gt;"
    assert display.excerpt('"><script>') == "&#34;&gt;&lt;script&gt;"


@pytest.mark.parametrize(
    ("code", "drawn"),
    [
        ("/::)", "🙂"), ("[微笑]", "🙂"), ("[Smile]", "🙂"), ("/:rose", "🌹"), ("[旺柴]", "🐶"),
        ("[Doge]", "🐶"), ("[強]", "👍"), ("[ThumbsUp]", "👍"), ("[歐耶]", "✌️"), ("[Bah！L]", "😤"),
        ("/:,@@", "😵"), ("/:@@", "👊"), ("/::'(", "😢"), ("[OK]", "👌"),
    ],
)  # fmt: skip
def test_the_codes_of_faces_are_drawn_as_emoji_and_stay_the_text_that_is_copied(
    code: str, drawn: str
) -> None:
    shown = display.rich(f"好{code}。")
    assert f'data-face="{drawn}"' in shown
    assert f'title="{escape(code)}"' in shown
    assert shown.striptags() == f"好{code}。"
    assert display.excerpt(code) == display.rich(code)


def test_a_face_without_a_fitting_emoji_has_its_name() -> None:
    assert 'class="face face-name" title="[裂开]" data-face="裂开"' in display.rich("我[裂开]了")


@pytest.mark.parametrize(
    "text", ["[图片]", "[退款]", "[smile]", "[微笑", "微笑]", "[ 微笑 ]", "[[]]", "a[0]", "/:", "http://"]
)
def test_what_is_no_face_stays_as_it_is(text: str) -> None:
    assert display.rich(text) == escape(text)


def test_no_face_is_drawn_in_the_address_of_a_link() -> None:
    shown = display.rich("https://example.com/:rose?x=[OK] [OK]")
    assert shown.count("data-face") == 1
    assert ">https://example.com/:rose?x=[OK]</a>" in shown


def test_no_two_faces_have_the_same_code() -> None:
    codes = [code for face in FACES for code in face.codes]
    assert len(set(codes)) == len(codes) > 400
    assert all(FACE_CODE.fullmatch(code) for code in codes)


def test_matches_are_marked_also_within_links_texts() -> None:
    assert display.rich("要退款 <x>", Query.parse("退款")) == "要<mark>退款</mark> &lt;x&gt;"


def test_characters_that_cannot_be_seen_are_shown() -> None:
    assert display.has_hidden("a\u202eb")
    assert display.visible("a\u202eb<") == 'a<span class="hidden-char">U+202E</span>b&lt;'


@given(st.text())
@example('/:<L>"><b>[微笑]</b>')
def test_no_text_brings_markup_of_its_own(text: str) -> None:
    for shown in (display.rich(text), display.excerpt(text), display.visible(text)):
        without = shown.replace("<span", "").replace("</span>", "").replace("<a href", "").replace("</a>", "")
        assert "<" not in without


def test_a_picture_is_the_same_for_the_same_openid_only() -> None:
    one, two = (SimpleNamespace(openid=name, alias="") for name in ("oOne", "oTwo"))
    assert display.avatar(one) == display.avatar(one) != display.avatar(two)
    assert "style=" not in display.avatar(one)


def test_a_follower_has_the_name_that_operators_gave_or_a_made_up_one() -> None:
    assert display.name(SimpleNamespace(openid="oFollower1", alias="王姐")) == "王姐"
    assert display.name(SimpleNamespace(openid="oFollower1", alias="")) == "北斗·卫星"


def test_times_are_shorter_the_nearer_they_are(app: Flask) -> None:
    now = datetime.now(UTC)
    with app.test_request_context():
        assert len(display.short_time(now)) == len("14:05")
        assert len(display.short_time(now - timedelta(days=800))) == len("2024-01-01")
        assert display.exact_time(datetime(2026, 11, 22, 6, 5, 3, tzinfo=UTC)).endswith("06:05:03 UTC")
