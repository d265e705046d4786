"""What stops a question or an answer: forbidden words, and limits of numbers, tokens and cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ...routing.conditions import normalize
from .profile import AssistantProfile


class Limit(StrEnum):
    """A limit of the profile."""

    PER_MINUTE = "per_minute"
    PER_DAY = "per_day"
    DAILY_TOKENS = "daily_tokens"
    DAILY_YUAN = "daily_yuan"


@dataclass(frozen=True)
class Spent:
    """What answers have taken so far."""

    last_minute: int = 0
    """Answers to the follower in the last minute."""
    today: int = 0
    """Answers to the follower since midnight."""
    tokens: int = 0
    """Tokens of all answers of the account since midnight."""
    yuan: float = 0.0


def forbidden_word(text: str, words: Iterable[str]) -> str | None:
    """Return the first of `words` that occurs in `text`.

    Case, width, white space and invisible characters make no difference.
    """
    compact = _compact(text)
    return next((word for word in words if _compact(word) in compact), None)


def _compact(text: str) -> str:
    return "".join(normalize(text).split())


def reached_limit(profile: AssistantProfile, spent: Spent) -> Limit | None:
    """Return the limit of the profile that permits no other answer, if there is one."""
    if spent.last_minute >= profile.per_minute:
        return Limit.PER_MINUTE
    if spent.today >= profile.per_day:
        return Limit.PER_DAY
    if 0 < profile.daily_tokens <= spent.tokens:
        return Limit.DAILY_TOKENS
    return Limit.DAILY_YUAN if 0 < profile.daily_yuan <= spent.yuan else None


def used_share(profile: AssistantProfile, spent: Spent) -> float:
    """Return the greater one of the shares of the day's tokens and cost that are used; 0 without limits."""
    return max(
        spent.tokens / profile.daily_tokens if profile.daily_tokens else 0.0,
        spent.yuan / profile.daily_yuan if profile.daily_yuan else 0.0,
    )
