"""An assistant for evaluations, whose answers a test writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechat_bot.services.evaluations.definitions import Given
from wechat_bot.services.evaluations.running import Ask

PASSAGE = {"source": "pair", "id": 12, "title": "营业时间"}


class FakeAssistants:
    """Answers from `answers`, and does not know anything else. A draft's instructions are its last words."""

    def __init__(self, **answers: str) -> None:
        self.answers: dict[str, str | Given] = {**answers}
        self.asked: list[str] = []

    def prepare(self, account_id: int, draft: Mapping[str, Any]) -> tuple[int, Ask]:
        def ask(question: str) -> Given:
            self.asked.append(question)
            answer = self.answers.get(question)
            if isinstance(answer, Given):
                return answer
            if answer is None:
                return Given("unknown", "我不知道")
            return Given("answered", answer + draft.get("instructions", ""), (PASSAGE,), None, 1200, 345)

        return 7, ask
