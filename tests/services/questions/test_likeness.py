"""Which questions are alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_bot.services.questions.likeness import (
    likeness,
    needed_in_prefix,
    prefix,
    sizes_alike,
    tokens_of_question,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("你们几点开门？", "你们几点开门"),
        ("你们几点开门", "请问你们几点开门呢"),
        ("可以用医保卡吗", "可以用医保卡吗？？？😂"),
        ("ＷｉＦｉ密码多少", "wifi 密码多少"),
        ("發票怎麼開", "发票怎么开"),
        ("在", "在？"),
    ],
)
def test_the_same_question_in_other_words_is_alike(one: str, other: str) -> None:
    assert likeness(tokens_of_question(one), tokens_of_question(other))


@pytest.mark.parametrize(
    ("one", "other"), [("你们几点开门", "你们在哪里"), ("怎么退款", "怎么退货"), ("在", "不在")]
)
def test_another_question_is_not(one: str, other: str) -> None:
    assert not likeness(tokens_of_question(one), tokens_of_question(other))


@pytest.mark.parametrize("text", ["", " ", "？？？", "😂", "\u200b", "……"])
def test_what_says_nothing_has_no_tokens(text: str) -> None:
    assert not tokens_of_question(text)


WORDS = st.text("营业时间几点开门请问你们", min_size=1, max_size=14)


@given(WORDS, WORDS)
def test_the_index_finds_every_text_that_is_alike(one: str, other: str) -> None:
    first, second = tokens_of_question(one), tokens_of_question(other)
    if likeness(first, second):
        both = set(prefix(first)) & set(prefix(second))
        assert len(both) >= max(needed_in_prefix(first), needed_in_prefix(second))
        assert len(first) in sizes_alike(len(second))
    else:
        assert 5 * len(first & second) < 3 * len(first | second)
