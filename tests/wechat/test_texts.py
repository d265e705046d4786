"""Long texts in parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cases import TEXTS
from tests.wechat.strategies import legal_text
from wechat_bot.services.inbox import pickup
from wechat_bot.wechat.replies import MAX_TEXT_BYTES, TextReply
from wechat_bot.wechat.texts import parts, split

LIMIT = MAX_TEXT_BYTES
LONG = sorted(TEXTS.glob("G-*.txt"))
LINK = regex.compile(r"<a href=\"[^\"]+\">[^<]+</a>")

PIECES = st.sampled_from([*"字a😀é \n。！？；….", ". ", "! ", "? ", "; ", "word ", "x" * 100])
long_text = st.builds(
    lambda pieces, times: "".join(pieces) * times, st.lists(PIECES, min_size=1), st.integers(1, 3000)
).filter(lambda text: len(text.encode()) < 20_000)


@given(long_text)
def test_a_long_text_is_cut_without_losing_anything(text: str) -> None:
    first, rest = split(text, LIMIT)
    assert first + rest == text
    assert len(first.encode()) <= LIMIT
    assert (rest == "") == (len(text.encode()) <= LIMIT)
    assert rest == "" or len(first) >= 256


@given(st.one_of(long_text, legal_text).filter(str.strip), st.sampled_from([4, 50, LIMIT]))
@example(" " * LIMIT + "x", LIMIT)
@example("\n" * 3000 + "x", LIMIT)
def test_every_text_can_be_shown_in_parts(text: str, limit: int) -> None:
    found = list(parts(text, limit))
    assert all(part and part == part.strip() and len(part.encode()) <= limit for part in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("字" * 682, "字" * 682),
        ("字" * 683, "字" * 682),
        ("a" + "字" * 683, "a" + "字" * 682),
        ("😀" * 513, "😀" * 512),
        ("a" * 2048, "a" * 2048),
        ("a" * 2049, "a" * 2048),
        ("字" * 400 + "。" + "字" * 400, "字" * 400 + "。"),
        ("字" * 400 + "\n" + "字" * 400, "字" * 400 + "\n"),
        ("字" * 400 + "“好。”" + "字" * 400, "字" * 400 + "“好。”"),
        ("a" * 1500 + "! Yes? " + "b" * 1500, "a" * 1500 + "! Yes?"),
        ("a" * 1500 + "3.14" + "b" * 1500, ("a" * 1500 + "3.14" + "b" * 1500)[:2048]),
        ("a" * 1500 + " " + "b" * 1500, "a" * 1500 + " "),
        ("a" * 500 + "。" + "b" * 1000 + " " + "c" * 1500, "a" * 500 + "。" + "b" * 1000 + " "),
        ("字。" + "字" * 700, ("字。" + "字" * 700)[:682]),
        ("a" * 2047 + ". " + "b", "a" * 2047 + "."),
        ("字" * 680 + "13800138000" + "字", "字" * 680),
        ("字" * 682 + "，字", "字" * 681),
        ("字" * 680 + "（字）" + "字", "字" * 680),
        ("字 " * 300 + "18. one two" + "字" * 500, "字 " * 300),
        ("字 " * 300 + "<a b> " + "字 " * 300 + '<a href="u">l</a>', "字 " * 300 + "<a b> " + "字 " * 210),
        ("字" * 600 + "https://e.com/" + "a" * 300, "字" * 600),
        ("字" * 600 + "https://e.com/" + "a" * 3000, "字" * 600),
    ],
    ids=lambda text: f"{len(text)}",
)
def test_a_text_is_cut_after_a_sentence_or_a_list_item_or_a_word_or_else_anywhere(
    text: str, first: str
) -> None:
    assert split(text, LIMIT)[0] == first


@pytest.mark.parametrize("path", LONG, ids=lambda path: path.stem)
def test_no_link_list_item_or_emoji_is_cut(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    passive = list(parts(text, LIMIT))
    linked = pickup.pages(TextReply(text), "0" * 32)
    pages = [regex.sub(r"\n<a [^\n]*</a>$", "", page.content) for page in linked]
    for shown in (passive, pages):
        assert len(shown) > 1
        assert all(len(part.encode()) <= LIMIT for part in shown)
        assert [link for part in shown for link in LINK.findall(part)] == LINK.findall(text)
        assert not any(regex.search(r"\d\.$", part) for part in shown), "a number without its item"
        clusters = [cluster for part in shown for cluster in regex.findall(r"\X", part) if cluster.strip()]
        assert clusters == [cluster for cluster in regex.findall(r"\X", text) if cluster.strip()]


@pytest.mark.parametrize(
    "cluster", ["👨\u200d👩\u200d👧\u200d👦", "🇨🇳", "👍🏽", "1\ufe0f\u20e3", "e\u0301", "각"], ids=ascii
)
def test_no_character_of_several_code_points_is_cut(cluster: str) -> None:
    for before in range(8):
        first, rest = split("字" * before + cluster * 700, LIMIT)
        assert first.endswith(cluster)
        assert rest.startswith(cluster)


def test_what_is_longer_than_a_message_is_cut_anywhere() -> None:
    for text in ("Z" + "\u0301" * 3000, "https://e.com/" + "a" * 3000, f'<a href="{"a" * 3000}">label</a>'):
        assert "".join(parts(text, LIMIT)) == text
