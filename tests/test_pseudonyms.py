"""The made-up names of followers."""

from __future__ import annotations

import re
from hashlib import sha256

from wechat_bot.pseudonyms import FIRST_WORDS, SECOND_WORDS, pseudonym
from wechat_bot.services.search.tokens import fold


def test_a_follower_keeps_the_name_for_ever() -> None:
    assert pseudonym("oFollower1") == "北斗·卫星"
    assert pseudonym("oSomebodyElse") == "柚子·海马"
    words = " ".join([*FIRST_WORDS, *SECOND_WORDS]).encode()
    assert sha256(words).hexdigest()[:16] == "c03824d0b5580ce6", "followers would be renamed"


def test_a_name_is_two_different_short_words_that_are_found_as_they_are_written() -> None:
    words = [*FIRST_WORDS, *SECOND_WORDS]
    assert len(FIRST_WORDS) == len(SECOND_WORDS) == 256
    assert len(set(words)) == 512
    assert [word for word in words if not re.fullmatch("[一-鿿]{2}", word) or fold(word) != word] == []


def test_many_followers_have_many_names() -> None:
    assert len({pseudonym(f"oFollower{number}") for number in range(1000)}) > 950
