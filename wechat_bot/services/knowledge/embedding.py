"""Lets an embedding model give vectors to all that questions are answered from, in the background."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, delete, insert, select

from ...database.transactions import retry_conflicts, transaction
from ...llm import ModelError, ModelErrorReason
from ...models import KnowledgeVector, KnowledgeVersion
from ...models.rows import Row
from . import sources
from .changes import change
from .sources import MAX_IDS, Key, Versions
from .vectors import Embedder, Place, packed

log = logging.getLogger(__name__)

MAX_TEXT = 2000
"""Characters of a text that are embedded."""
BATCH = 50
"""Texts that are embedded and stored at once."""
CALL_TIMEOUT = 30.0
"""Seconds for a call of the endpoint."""
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds until another attempt after an error. Each further error doubles the pause."""
_FAULTS_OF_TEXTS = {ModelErrorReason.REFUSED, ModelErrorReason.INVALID}


@dataclass
class _Progress:
    """What a process knows of the vectors of an account."""

    embedder: Embedder | None = None
    complete: Versions | None = None
    """The changes up to which nothing lacks a vector."""
    compared: Versions | None = None
    """The changes up to which vectors that nothing needs have been deleted."""
    hashes: dict[Key, str] = field(default_factory=dict)
    """The hashes of the texts; empty for what has none."""
    refusals: Counter[Key] = field(default_factory=Counter)
    """How often the endpoint did not take a batch with a text. Such texts come last, each by itself."""
    pause: float = 0.0
    resumes_at: float = 0.0


class Vectorizer:
    """Keeps the vectors of accounts as their knowledge and their embedding model are. One thread uses it.

    `embedder` returns the embedding model of an account, if it has one.
    """

    def __init__(
        self,
        engine: Engine,
        embedder: Callable[[int], Embedder | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._embedder = embedder
        self._clock = clock
        self._accounts: dict[int, _Progress] = {}

    def catch_up(self, account_id: int, seconds: float) -> None:
        """Embed texts that lack a vector of the present model, and delete vectors that nothing needs.

        No batch is embedded after some `seconds`, nor during the pause after an error.
        """
        ends_at, embedder = self._clock() + seconds, self._embedder(account_id)
        progress = self._accounts.setdefault(account_id, _Progress())
        if progress.embedder != embedder:
            progress = self._accounts[account_id] = _Progress(embedder, hashes=progress.hashes)
        with self._engine.connect() as connection:
            versions = sources.versions(connection, account_id)
        pausing = self._clock() < progress.resumes_at
        if versions == (progress.compared if pausing else progress.complete):
            return
        missing, progress.compared = self._compare(account_id, progress), versions
        while missing and embedder and not pausing and self._clock() < ends_at:
            batch = [key for key in missing[:BATCH] if not progress.refusals[key]] or missing[:1]
            if not self._embed(account_id, progress, embedder, batch):
                return
            missing = missing[len(batch) :]
        if not missing:
            progress.complete = versions

    def _compare(self, account_id: int, progress: _Progress) -> list[Key]:
        """Return the keys of the texts that lack a vector, and delete the vectors that nothing needs."""
        model = progress.embedder.model if progress.embedder else ""
        columns = (getattr(KnowledgeVector, name) for name in ("source", "source_id", "model", "text_hash"))
        stored = select(*columns).where(KnowledgeVector.account_id == account_id)
        with self._engine.connect() as connection:
            keys = sources.keys(connection, account_id) if model else set()
            progress.hashes = {key: each for key, each in progress.hashes.items() if key in keys}
            unknown = keys - progress.hashes.keys()
            loaded = {key: source.text_hash for key, source in sources.load(connection, unknown)}
            present = {(row.source, row.source_id): row for row in connection.execute(stored)}
        progress.hashes |= {key: loaded.get(key, "") for key in unknown}
        needed = {key[:2]: key for key, text_hash in progress.hashes.items() if text_hash}
        useless = [place for place, row in present.items() if place not in needed or row.model != model]
        self._delete(account_id, useless)
        missing = [
            key
            for place, key in sorted(needed.items())
            if (row := present.get(place)) is None
            or (row.model, row.text_hash) != (model, progress.hashes[key])
        ]
        return sorted(missing, key=progress.refusals.__getitem__)

    def _embed(self, account_id: int, progress: _Progress, embedder: Embedder, batch: Sequence[Key]) -> bool:
        """Embed a batch; after an error, begin the next pause and return False."""
        with self._engine.connect() as connection:
            loaded = dict(sources.load(connection, batch))
        texts = [source.whole[:MAX_TEXT] for source in loaded.values()]
        try:
            vectors = [packed(vector) for vector in embedder.embed(texts, CALL_TIMEOUT)] if texts else []
        except ModelError as error:
            log.warning("texts of the knowledge base could not be embedded: %s", error)
            if error.reason in _FAULTS_OF_TEXTS:
                progress.refusals.update(batch)
            progress.pause = min(max(FIRST_PAUSE, progress.pause * 2), LONGEST_PAUSE)
            progress.resumes_at = self._clock() + progress.pause
            return False
        progress.pause = 0.0
        rows = []
        for (key, source), vector in zip(loaded.items(), vectors, strict=True):
            if vector:
                about = {"source": key[0], "source_id": key[1], "text_hash": source.text_hash}
                rows.append(about | {"vector": vector})
            else:
                progress.hashes[key] = ""  # it cannot be compared, and would be embedded again and again
        self._store(account_id, embedder.model, rows)
        return True

    @retry_conflicts
    def _store(self, account_id: int, model: str, rows: Sequence[Row]) -> None:
        """Store vectors, so that every process reads them with its next question."""
        if not rows:
            return
        with change(self._engine, account_id) as connection:
            this = KnowledgeVersion.account_id == account_id
            version = connection.scalar(select(KnowledgeVersion.version).where(this))
            about = {"account_id": account_id, "model": model, "version": version}
            _delete(connection, account_id, [(row["source"], row["source_id"]) for row in rows])
            connection.execute(insert(KnowledgeVector), [about | row for row in rows])

    @retry_conflicts
    def _delete(self, account_id: int, places: Collection[Place]) -> None:
        if places:
            with transaction(self._engine) as connection:
                _delete(connection, account_id, places)


def _delete(connection: Connection, account_id: int, places: Collection[Place]) -> None:
    """Delete the vectors of places."""
    ids: dict[str, list[int]] = {}
    for kind, row_id in places:
        ids.setdefault(kind, []).append(row_id)
    of_account = delete(KnowledgeVector).where(KnowledgeVector.account_id == account_id)
    for source, several in ids.items():
        these = of_account.where(KnowledgeVector.source == source)
        for start in range(0, len(several), MAX_IDS):
            some = KnowledgeVector.source_id.in_(several[start : start + MAX_IDS])
            connection.execute(these.where(some))
