"""Finds the passages that answer a question, in an index in memory that each process keeps up to date."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from operator import itemgetter
from threading import Lock

from sqlalchemy import Engine

from ...database.transactions import retry_conflicts
from ...llm import ModelError
from . import sources
from .index import CANDIDATES, PassageIndex
from .sources import Key, Source, Versions
from .vectors import Embedder, Likeness, Place, Vectors

log = logging.getLogger(__name__)

MAX_EMBEDDED = 1000
"""Characters of a question that are embedded."""
EMBEDDING_TIMEOUT = 3.0
"""Seconds after which words alone decide."""
SHARE_OF_LESSER = 0.3
"""How much of what its score lacks to 1 a passage gains that is found by its words and by its meaning."""


@dataclass(frozen=True)
class Passage:
    """A text that answers a question."""

    id: int
    """Its id among those of its `source`."""
    title: str
    text: str
    source: str
    """`sources.SourceKind`: pair, document, article, rule or canned."""
    link: str
    """The address where followers can read it, or empty."""
    score: float
    """How much of the question it covers, 0 to 1 (`index.PassageIndex.find`), or how alike it is to it
    (`vectors.Likeness`); somewhat more than the greater if it has both."""


@dataclass(eq=False)
class _Shelf:
    """What a process knows of the knowledge of an account, as of `versions`."""

    versions: Versions | None = None
    index: PassageIndex[Key] = field(default_factory=PassageIndex)
    sources: dict[Key, Source] = field(default_factory=dict)
    silent: set[Key] = field(default_factory=set)
    """The keys of what has no text to answer with."""
    keys: Mapping[Place, Key] = field(default_factory=dict)
    """The keys of the sources by their places."""
    vectors: Vectors = field(default_factory=Vectors)
    lock: Lock = field(default_factory=Lock)

    def is_current(self, versions: Versions, model: str) -> bool:
        return self.versions == versions and self.vectors.model == model


class Retriever:
    """Finds passages in the knowledge of accounts. Thread-safe.

    Each question reads one row with the numbers of changes; a process that does not know them reads what
    has changed since. The first question of a process therefore waits until all has been read. Words alone
    decide while there are no vectors, or the embedding model does not answer in time.
    """

    def __init__(
        self, engine: Engine, embedder: Callable[[int], Embedder | None] = lambda account_id: None
    ) -> None:
        """Find passages by their meaning, too, for accounts for which `embedder` returns a model."""
        self._engine = engine
        self._embedder = embedder
        self._shelves: dict[int, _Shelf] = {}

    def find(
        self, account_id: int, question: str, *, limit: int = 5, threshold: float = 0.0
    ) -> list[Passage]:
        """Return the passages that answer a question, best first, of what operators have approved.

        :param threshold: the score below which passages are left out, 0 to 1.
        """
        return self.find_any(account_id, [question], limit=limit, threshold=threshold)

    def find_any(
        self, account_id: int, questions: Sequence[str], *, limit: int = 5, threshold: float = 0.0
    ) -> list[Passage]:
        """Return the passages that answer one of several questions, each with its best score; see `find`."""
        questions = [question for question in questions if question.strip()]
        embedder = self._embedder(account_id)
        shelf = self._current(account_id, embedder)
        likenesses = _likenesses(embedder, shelf.vectors, questions)
        best: dict[Key, float] = {}
        for question, likeness in zip(questions, likenesses, strict=True):
            for key, score in _scores(shelf, question, likeness).items():
                best[key] = max(score, best.get(key, 0.0))
        return [
            Passage(source.id, source.title, source.text, source.kind, source.link, score)
            for key, score in nlargest(limit, best.items(), key=itemgetter(1))
            if score >= threshold and (source := shelf.sources.get(key))  # it may just have been removed
        ]

    def count(self, account_id: int) -> int:
        """Return how many passages there are."""
        return len(self._current(account_id, self._embedder(account_id)).index)

    def _current(self, account_id: int, embedder: Embedder | None) -> _Shelf:
        """Return the knowledge of an account, with the vectors of its embedding model.

        One thread reads a change; others go on with what they have.
        """
        model = embedder.model if embedder else ""
        shelf = self._shelves.setdefault(account_id, _Shelf())
        with self._engine.connect() as connection:
            versions = sources.versions(connection, account_id)
        if not shelf.is_current(versions, model) and shelf.lock.acquire(blocking=shelf.versions is None):
            try:
                if not shelf.is_current(versions, model):
                    self._refresh(account_id, shelf, model)
            finally:
                shelf.lock.release()
        return shelf

    @retry_conflicts
    def _refresh(self, account_id: int, shelf: _Shelf, model: str) -> None:
        with self._engine.connect() as connection:
            # What changes between these is read once more, since the numbers are the older ones.
            versions = sources.versions(connection, account_id)
            current = sources.keys(connection, account_id)
            loaded = dict(sources.load(connection, current - shelf.sources.keys() - shelf.silent))
            vectors = shelf.vectors if shelf.vectors.model == model else Vectors(model)
            places, appeared = {key[:2] for key in current}, {key[:2] for key in loaded}
            vectors = vectors.updated(connection, account_id, versions[0], places, appeared)
        shelf.sources |= loaded
        gone = shelf.sources.keys() - current
        if shelf.index.is_sparse:
            shelf.index, loaded = PassageIndex(), dict(shelf.sources)
        for key, source in loaded.items():
            shelf.index.add(key, source.head, source.text)
        for key in gone:
            shelf.index.remove(key)
            del shelf.sources[key]
        shelf.silent = current - shelf.sources.keys()
        shelf.keys = {key[:2]: key for key in shelf.sources}
        shelf.vectors = vectors
        shelf.versions = versions


def _likenesses(
    embedder: Embedder | None, vectors: Vectors, questions: Sequence[str]
) -> Sequence[Likeness | None]:
    """Return how alike questions are to the passages, with one call; None where only words can tell."""
    unknown = [None] * len(questions)
    if not (questions and embedder and vectors and vectors.model == embedder.model):
        return unknown
    try:
        embedded = embedder.embed([text[:MAX_EMBEDDED] for text in questions], EMBEDDING_TIMEOUT)
    except ModelError as error:
        log.info("questions could not be embedded: %s", error)
        return unknown
    return [vectors.likeness(vector) for vector in embedded]


def _scores(shelf: _Shelf, question: str, likeness: Likeness | None) -> dict[Key, float]:
    """Return the scores of the passages that may answer a question."""
    by_words = dict(shelf.index.find(question, CANDIDATES))
    if likeness is None:
        return by_words
    alike = [key for place in likeness.best() if (key := shelf.keys.get(place))]
    return {
        key: _mixed(by_words.get(key, 0.0), likeness.of(key[:2], source.text_hash))
        for key in dict.fromkeys([*by_words, *alike])
        if (source := shelf.sources.get(key))
    }


def _mixed(by_words: float, likeness: float) -> float:
    greater, lesser = max(by_words, likeness), min(by_words, likeness)
    return greater + (1 - greater) * lesser * SHARE_OF_LESSER
