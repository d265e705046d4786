"""Vectors of an embedding model, by which texts are found that mean the same in other words.

NumPy is imported when there are vectors. ``docs/knowledge.md`` describes the likeness for operators.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection, select, tuple_

from ...models import KnowledgeVector
from .sources import MAX_IDS, SourceKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATES = 20
"""Passages that are returned as most like a question."""
UNRELATED, UNRELATED_COUNT = 0.3, 10
"""The cosine that is assumed of unrelated texts, and how many passages this assumption counts for."""
_NUMBER = "<f4"
"""How a number is stored: as a little-endian float of 32 bits."""

Place = tuple[SourceKind, int]
"""Where a text is, and its id there."""


class Embedder(Protocol):
    """An embedding model at an endpoint. Two are equal if they call the same one in the same way."""

    @property
    def model(self) -> str:
        """Its name."""

    def embed(self, texts: Sequence[str], timeout: float) -> list[list[float]]:
        """Return the vectors of texts that are not empty.

        :param timeout: seconds for each call of the endpoint.
        :raises ModelError: if the endpoint does not answer.
        """


def _numpy() -> Any:
    """Return NumPy, without threads of its own, which would compete with those of the server."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import numpy

    return numpy


def packed(vector: Sequence[float]) -> bytes | None:
    """Return a vector with the length 1 as bytes; None if it has no direction."""
    np = _numpy()
    numbers = np.asarray(vector, dtype=np.float64)
    length = np.linalg.norm(numbers)
    if not (length and np.isfinite(length)):
        return None
    return bytes((numbers / length).astype(_NUMBER).tobytes())


@dataclass(frozen=True)
class Vectors:
    """The vectors that a model has given to the passages of an account, as of a change. It never changes."""

    model: str = ""
    version: int = 0
    """The number of the change."""
    hashes: Mapping[Place, str] = field(default_factory=dict)
    """The hashes of the texts that have vectors, in the order of the rows of the matrix."""
    matrix: Any = None
    """A row for each; None if there are none."""

    def __len__(self) -> int:
        return len(self.hashes)

    def likeness(self, vector: Sequence[float]) -> Likeness | None:
        """Return how alike a question is to the passages; None if its vector is none of this model."""
        np = _numpy()
        question = packed(vector)
        if question is None or len(vector) != self.matrix.shape[1]:
            return None
        return Likeness(self, self.matrix @ np.frombuffer(question, _NUMBER))

    def updated(
        self, connection: Connection, account_id: int, version: int, places: Set[Place], appeared: Set[Place]
    ) -> Vectors:
        """Return the vectors as of a later change, of these places alone, of which some have appeared."""
        added = [row for row in self._added(connection, account_id, appeared) if _place(row) in places]
        new = {_place(row): row.text_hash for row in added}
        kept = [place for place in self.hashes if place in places and place not in new]
        if not new and len(kept) == len(self):
            return Vectors(self.model, version, self.hashes, self.matrix)
        np = _numpy()
        parts = [self.matrix[[self.rows[place] for place in kept]]] if kept else []
        if added:
            joined = b"".join(row.vector for row in added)
            parts.append(np.frombuffer(joined, _NUMBER).reshape(len(added), -1))
        hashes = {place: self.hashes[place] for place in kept} | new
        return Vectors(self.model, version, hashes, np.concatenate(parts) if parts else None)

    def _added(self, connection: Connection, account_id: int, appeared: Set[Place]) -> list[Any]:
        """Return the rows that are newer, and older ones of what was removed and has come back.

        Those that cannot be compared with the others are left out.
        """
        if not self.model:
            return []
        this = KnowledgeVector.account_id == account_id, KnowledgeVector.model == self.model
        found, age = select(KnowledgeVector.__table__).where(*this), KnowledgeVector.version
        rows = list(connection.execute(found.where(age > self.version)))
        place, back = tuple_(KnowledgeVector.source, KnowledgeVector.source_id), sorted(appeared)
        for start in range(0, len(back) if self.version else 0, MAX_IDS):
            some = place.in_(back[start : start + MAX_IDS])
            rows += connection.execute(found.where(age <= self.version, some))
        first = self.matrix[0].tobytes() if self else rows[0].vector if rows else b""
        return [row for row in rows if len(row.vector) == len(first)]

    @cached_property
    def rows(self) -> dict[Place, int]:
        """The rows of the matrix by their places."""
        return {place: row for row, place in enumerate(self.hashes)}

    @cached_property
    def places(self) -> tuple[Place, ...]:
        return tuple(self.hashes)


def _place(row: Any) -> Place:
    return SourceKind(row.source), row.source_id


class Likeness:
    """How alike a question is to the passages with vectors: 0 like unrelated texts, 1 like itself.

    Models differ in the cosines that they give to unrelated texts. Since nearly all passages are unrelated to
    a question, the mean of their cosines is taken for 0.
    """

    def __init__(self, vectors: Vectors, cosines: NDArray[np.float32]) -> None:
        self._vectors = vectors
        self._cosines = cosines
        assumed = UNRELATED * UNRELATED_COUNT
        self._zero = (float(cosines.sum()) + assumed) / (len(cosines) + UNRELATED_COUNT)

    def of(self, place: Place, text_hash: str) -> float:
        """Return that of a passage; 0 if its text has no vector yet."""
        if self._vectors.hashes.get(place) != text_hash:
            return 0.0
        cosine = float(self._cosines[self._vectors.rows[place]])
        return min(max(0.0, (cosine - self._zero) / (1 - self._zero)), 1.0)

    def best(self) -> list[Place]:
        """Return the places of the passages that are most alike, in any order."""
        np = _numpy()
        count = min(CANDIDATES, len(self._cosines))
        places = self._vectors.places
        return [places[row] for row in np.argpartition(self._cosines, -count)[-count:]]
