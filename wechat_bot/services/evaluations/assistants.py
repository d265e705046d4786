"""Asks the assistants of accounts for evaluations, with the saved profile or a draft of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...routing import strict_json
from ..assistant.answering import Answered, Assistant, Question
from ..assistant.profile import AssistantProfile
from ..assistant.profiles import Profiles
from .definitions import Given
from .running import Ask, Unavailable


class ProfileAssistants:
    """The assistants of accounts. What is asked belongs to no follower."""

    def __init__(self, profiles: Profiles, assistant: Assistant) -> None:
        self._profiles = profiles
        self._assistant = assistant

    def prepare(self, account_id: int, draft: Mapping[str, Any]) -> tuple[int, Ask]:
        """Return the version of the saved profile, and what asks the assistant with the fields of a draft.

        :raises InvalidDefinition: if the profile is not valid with the draft.
        :raises Unavailable: if there is no model.
        """
        stored = self._profiles.latest(account_id)
        changed = {**strict_json.to_json(stored.profile), **draft}
        profile = replace(stored, profile=strict_json.read(AssistantProfile, changed))
        if not (profile.profile.base_url and profile.profile.model):
            raise Unavailable("the assistant has no endpoint or no model")

        def ask(question: str) -> Given:
            asked = Question(account_id, texts=(question,))
            return _given(self._assistant.answer(asked, profile=profile))

        return stored.version, ask


def _given(answered: Answered) -> Given:
    passages = [{"source": each.source, "id": each.id, "title": each.title} for each in answered.passages]
    tokens = answered.usage.prompt_tokens + answered.usage.completion_tokens
    return Given(
        answered.outcome,
        answered.text or answered.written,
        tuple(passages),
        milliseconds=answered.milliseconds,
        tokens=tokens,
        error=answered.error,
    )
