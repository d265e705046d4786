"""Numbers that identify people do not leave, and come back in answers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_bot.services.assistant.masking import Mask, is_bank_card, is_id_card

ID_CARD = "11010519491231002X"
BANK_CARD = "6222 0212 3456 7890 128"


def with_check_digit(body: str, is_valid: object) -> str:
    assert callable(is_valid)
    return next(body + digit for digit in "0123456789X" if is_valid(body + digit))


phones = st.from_regex(r"\A1[3-9][0-9]{9}\Z")
id_cards = st.from_regex(r"\A[1-9][0-9]{16}\Z").map(lambda body: with_check_digit(body, is_id_card))
bank_cards = st.from_regex(r"\A[3-6][0-9]{14,17}\Z").map(lambda body: with_check_digit(body, is_bank_card))
words = st.text(st.characters(exclude_categories=["Cs", "Nd"]), min_size=1, max_size=8)
pieces = st.one_of(words, phones, id_cards, bank_cards, st.just("[手机号1]"))
texts = st.lists(pieces, max_size=8).map("，".join)


def hidden(text: str) -> str:
    return Mask([text]).hide(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("我的手机13800138000", "我的手机[手机号1]"),
        ("+86 138-0013-8000 或 010-12345678", "[手机号1] 或 [手机号2]"),
        (f"身份证{ID_CARD}", "身份证[身份证号1]"),
        (f"身份证{ID_CARD.lower()}，", "身份证[身份证号1]，"),
        (f"卡号 {BANK_CARD}", "卡号 [银行卡号1]"),
        ("13800138000 和 13800138000", "[手机号1] 和 [手机号1]"),
        ("１３８００１３８０００", "[手机号1]"),
        ("订单 20261129000000000", "订单 20261129000000000"),
        ("110105194912310021", "110105194912310021"),
        ("2026-11-29 08:10，共 12345 元", "2026-11-29 08:10，共 12345 元"),
    ],
)
def test_numbers_of_people_are_replaced_and_others_are_not(text: str, masked: str) -> None:
    assert hidden(text) == masked


def test_a_placeholder_that_somebody_writes_stands_for_nothing() -> None:
    text = "[手机号1] 13800138000"
    mask = Mask([text])
    assert mask.hide(text) == "[手机号1] [手机号2]"
    assert mask.reveal("[手机号3][手机号2][手机号1]") == "[手机号3]13800138000[手机号1]"


@given(texts)
def test_what_is_hidden_can_be_revealed(text: str) -> None:
    mask = Mask([text])
    assert mask.reveal(mask.hide(text)) == text
    assert mask.hide(text) == mask.hide(text)


@given(st.lists(st.one_of(phones, id_cards, bank_cards), min_size=1, max_size=5), words)
def test_no_number_of_a_person_leaves(numbers: list[str], word: str) -> None:
    masked = hidden(word.join([*numbers, ""]))
    assert not re.search(r"\d{11}", masked)
