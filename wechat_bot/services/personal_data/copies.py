"""Finds texts of operators that repeat, word for word, what a follower wrote.

Pairs of the knowledge base, questions of the evaluation and conversation tests name no message, and many of
them suit hundreds of followers. So an erasure leaves them, and tells admins which to look at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from ...models import KnowledgePair, StoredEvaluationCase, StoredScenario

MIN_LENGTH = 8
"""Characters of a text that may tell who wrote it; shorter ones are said by many."""
_TABLES: Mapping[str, Any] = {"pair": KnowledgePair, "case": StoredEvaluationCase, "scenario": StoredScenario}
"""By the kinds of subjects in the audit log."""

Texts = Mapping[str, Iterable[str]]
"""The subjects that contain each text."""


def load_texts(connection: Connection, account_id: int) -> Texts:
    """Return the texts of operators that may repeat a message."""
    found: dict[str, list[str]] = defaultdict(list)
    for kind, model in _TABLES.items():
        rows = connection.execute(select(model.id, model.definition).where(model.account_id == account_id))
        for row in rows:
            for text in _strings(row.definition):
                if len(text) >= MIN_LENGTH:
                    found[text].append(f"{kind}:{row.id}")
    return found


def repeating(texts: Texts, messages: Iterable[str]) -> set[str]:
    """Return the subjects that repeat one of the messages."""
    return {subject for message in messages for subject in texts.get(message.strip(), ())}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.strip()
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
