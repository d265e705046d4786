"""Which questions are alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_bot.services.questions.likeness import (
    likeness,
    needed_in_prefixes,
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


TOKENS = st.frozensets(st.integers(0, 50), min_size=1, max_size=40)


@given(TOKENS, TOKENS)
def test_the_index_finds_every_text_that_is_alike(one: frozenset[int], more: frozenset[int]) -> None:
    for other in (more, one | more, one ^ more, frozenset(list(one)[len(more) // 4 :]) or more):
        if likeness(one, other):
            needed = needed_in_prefixes(len(one), len(other))
            assert len(set(prefix(one)) & set(prefix(other))) >= needed > 0
            assert len(one) in sizes_alike(len(other))
        else:
            assert 5 * len(one & other) < 3 * len(one | other)


def test_texts_of_the_same_length_share_more_than_those_of_different_lengths() -> None:
    assert [needed_in_prefixes(20, other) for other in (12, 16, 20, 26, 33)] == [2, 4, 5, 4, 2]
