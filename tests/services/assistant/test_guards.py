"""What stops a question or an answer."""

from __future__ import annotations

import pytest

from wechat_bot.services.assistant.guards import Limit, Spent, forbidden_word, reached_limit, used_share
from wechat_bot.services.assistant.profile import AssistantProfile


@pytest.mark.parametrize("text", ["哪里可以赌博？", "赌 博", "赌\u200b博", "ＡＢＣ", "xabcx"])
def test_a_forbidden_word_is_found_however_it_is_written(text: str) -> None:
    assert forbidden_word(text, ("赌博", "abc")) in {"赌博", "abc"}


def test_other_words_are_not_forbidden() -> None:
    assert forbidden_word("赌气，博物馆", ("赌博",)) is None
    assert forbidden_word("赌博", ()) is None


@pytest.mark.parametrize(
    ("spent", "limit"),
    [
        (Spent(), None),
        (Spent(last_minute=1), None),
        (Spent(last_minute=2, today=2), Limit.PER_MINUTE),
        (Spent(today=5), Limit.PER_DAY),
        (Spent(tokens=1000), Limit.DAILY_TOKENS),
        (Spent(yuan=2.5), Limit.DAILY_YUAN),
        (Spent(tokens=999, yuan=2.4), None),
    ],
)
def test_each_limit_of_the_profile_stops_answers(spent: Spent, limit: Limit | None) -> None:
    profile = AssistantProfile(per_minute=2, per_day=5, daily_tokens=1000, daily_yuan=2.5)
    assert reached_limit(profile, spent) is limit


def test_without_a_budget_nothing_is_used_up() -> None:
    spent = Spent(tokens=10**9, yuan=10**6)
    assert reached_limit(AssistantProfile(), spent) is None
    assert used_share(AssistantProfile(), spent) == 0
    assert used_share(AssistantProfile(daily_tokens=10**9, daily_yuan=2 * 10**6), spent) == 1
