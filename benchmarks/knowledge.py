"""``knowledge``: measures how passages are found for a question, and how a process reads them."""

from __future__ import annotations

import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask_migrate import upgrade
from sqlalchemy import Engine, insert

from wechat_bot import create_app
from wechat_bot.extensions import db
from wechat_bot.models import DocumentKind, KnowledgeDocument, KnowledgePassage, KnowledgeState
from wechat_bot.models.rows import new_row
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.audit import Actor
from wechat_bot.services.knowledge import pairs
from wechat_bot.services.knowledge.changes import change
from wechat_bot.services.knowledge.embedding import Vectorizer
from wechat_bot.services.knowledge.retrieval import Retriever
from wechat_bot.settings import Settings

from .options import Options
from .report import Report, table, verdict

PASSAGES = 10_000
LENGTH = 500
"""Characters of a passage."""
DIMENSIONS = 1024
"""Numbers of a vector."""
QUESTIONS = 200
GOAL_FIND = 20.0
"""Maximum median in milliseconds."""
ACTOR = Actor(None, "benchmarks", "")
_WORDS = 20_000
"""Different words of two or three characters in the passages. A few are frequent, as in real texts."""
_CHARACTERS = [chr(code) for code in range(0x4E00, 0x4E00 + 3500)]
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(options: Options) -> Report:
    rng = random.Random(1)
    words = ["".join(_frequent(rng, _CHARACTERS, rng.choice((2, 2, 3)))) for _ in range(_WORDS)]
    texts = [_text(rng, words, LENGTH) for _ in range(PASSAGES)]
    questions = {
        "find: a question of 4 to 12 characters": [
            _text(rng, words, rng.randint(4, 12)) for _ in range(QUESTIONS)
        ],
        "find: a question of 200 characters": [_text(rng, words, 200) for _ in range(QUESTIONS)],
    }
    with TemporaryDirectory() as folder:
        app = create_app(Settings(database_url=f"sqlite:///{Path(folder)}/bot.db"))
        with app.app_context():
            upgrade()
            account_id = ensure_account(db.engine, "wx1")
            _fill(db.engine, account_id, texts)
            rows = _rows(db.engine, account_id, questions, options.rounds)
            db.engine.dispose()
    head = [f"{PASSAGES:,} passages of {LENGTH} characters", "median", "95 of 100", "wanted", ""]
    return Report(table(head, rows))


def _rows(
    engine: Engine, account_id: int, questions: Mapping[str, Sequence[str]], rounds: int
) -> list[list[str]]:
    def asked(retriever: Retriever, question: str) -> float:
        return _ms(lambda: retriever.find(account_id, question))

    first = [asked(Retriever(engine), "第一个问题") for _ in range(3)]
    retriever = Retriever(engine)
    retriever.count(account_id)
    rows = [
        _row(name, [asked(retriever, question) for question in several], GOAL_FIND)
        for name, several in questions.items()
    ]
    changed = []
    for number in range(rounds):
        pairs.create(engine, ACTOR, account_id, {"question": f"第 {number} 个问题", "answer": "答案"})
        changed.append(asked(retriever, "第一个问题"))
    rows += [_row("find: after a pair was added", changed), _row("read all in a new process", first)]
    rows.append(["memory of the index", f"{_memory(engine, account_id):.0f} MiB", "", "", ""])
    return [*rows, *_rows_with_vectors(engine, account_id, questions)]


class _MadeUp:
    """An embedding model whose vectors are random, and take no time."""

    model = "made-up"

    def __init__(self) -> None:
        self._rng = random.Random(1)

    def embed(self, texts: Sequence[str], timeout: float) -> list[list[float]]:
        return [[self._rng.random() for _ in range(DIMENSIONS)] for _ in texts]


def _rows_with_vectors(
    engine: Engine, account_id: int, questions: Mapping[str, Sequence[str]]
) -> list[list[str]]:
    """Measure the same questions with vectors, without the time of an endpoint."""
    model = _MadeUp()
    embedding = _ms(lambda: Vectorizer(engine, lambda _: model).catch_up(account_id, 3600))
    retriever = Retriever(engine, lambda _: model)
    retriever.count(account_id)
    about = f"with vectors of {DIMENSIONS:,} numbers"
    rows = [
        _row(
            f"{name}, {about}",
            [_ms(partial(retriever.find, account_id, each)) for each in several],
            GOAL_FIND,
        )
        for name, several in questions.items()
    ]
    return [*rows, ["store all vectors", f"{embedding:.0f} ms", "", "", ""]]


def _memory(engine: Engine, account_id: int) -> float:
    """Return what a process needs to know the passages, in MiB."""
    tracemalloc.start()
    retriever = Retriever(engine)
    retriever.count(account_id)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / (1 << 20)


def _fill(engine: Engine, account_id: int, texts: Sequence[str]) -> None:
    """Store the texts as passages of one document."""
    about = {"title": "手册", "kind": DocumentKind.TEXT, "state": KnowledgeState.APPROVED, "content_hash": ""}
    with change(engine, account_id) as connection:
        document = new_row(KnowledgeDocument, account_id=account_id, imported_at=_NOW, **about)
        inserted = connection.execute(insert(KnowledgeDocument).values(document)).inserted_primary_key
        [document_id] = inserted or (0,)
        place: dict[str, Any] = {"account_id": account_id, "document_id": document_id}
        rows = [
            new_row(KnowledgePassage, position=number, text=text, **place)
            for number, text in enumerate(texts, 1)
        ]
        connection.execute(insert(KnowledgePassage), rows)


def _frequent(rng: random.Random, several: Sequence[str], count: int) -> list[str]:
    """Return some of `several`, of which the first are the most frequent, as in texts that people write."""
    return rng.choices(several, cum_weights=_weights(len(several)), k=count)


@cache
def _weights(count: int) -> list[float]:
    return list(accumulate(1 / (rank + 10) for rank in range(count)))


def _text(rng: random.Random, words: Sequence[str], length: int) -> str:
    return "，".join("".join(_frequent(rng, words, 5)) for _ in range(length // 11 + 1))[:length]


def _ms(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3


def _row(name: str, times: Sequence[float], goal: float | None = None) -> list[str]:
    median, slow = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    wanted = [f"≤ {goal:.0f} ms", verdict(median, goal)] if goal else ["", ""]
    return [name, f"{median:.1f} ms", f"{slow:.1f} ms", *wanted]
