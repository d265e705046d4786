"""Question-answer pairs. Every version is kept, and none is overwritten."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts
from ...models import Change, KnowledgePair, KnowledgePairVersion, KnowledgeState, PairSource
from ...models.rows import new_row
from ...routing import strict_json
from ...routing.strict_json import Definition, Problem, ProblemCode
from .. import audit
from ..audit import Actor
from ..search.tokens import fold
from ..versions import version_values
from .changes import change as _change

MAX_QUESTION = 200
MAX_WORDINGS = 30
MAX_ANSWER = 4000
"""Upper limits in characters, and of the number of wordings."""


@dataclass(frozen=True)
class Pair(Definition):
    """A question, how else it is asked, and its answer."""

    question: str
    answer: str
    wordings: tuple[str, ...] = ()
    state: KnowledgeState = KnowledgeState.APPROVED

    def problems(self) -> Iterator[Problem]:
        if len(self.wordings) > MAX_WORDINGS:
            yield Problem("wordings", ProblemCode.TOO_MANY, str(MAX_WORDINGS))
        for name, limit in (("question", MAX_QUESTION), ("answer", MAX_ANSWER)):
            if not getattr(self, name).strip():
                yield Problem(name, ProblemCode.BLANK)
            if len(getattr(self, name)) > limit:
                yield Problem(name, ProblemCode.CHARACTERS, str(limit))
        if any(len(wording) > MAX_QUESTION for wording in self.wordings):
            yield Problem("wordings", ProblemCode.CHARACTERS, str(MAX_QUESTION))


@dataclass(frozen=True)
class PairEntry:
    """A pair as it is stored."""

    id: int
    version: int
    definition: dict[str, Any]
    state: KnowledgeState
    source: PairSource
    changed_at: datetime
    operator: str
    """The name of who changed it last, at that time."""
    deleted: bool


@dataclass(frozen=True)
class PairFilter:
    """Which pairs are listed."""

    text: str = ""
    """What occurs in the question, a wording or the answer."""
    state: KnowledgeState | None = None
    source: PairSource | None = None
    deleted: bool = False


class PairNotFound(LookupError):
    """There is no such pair, or no such version."""


class PairConflict(Exception):
    """Somebody else has changed the pair meanwhile; nothing was written."""

    def __init__(self, mine: dict[str, Any], current: PairEntry) -> None:
        super().__init__(f"pair {current.id} has version {current.version} by now")
        self.mine = mine
        """The definition that was to be saved."""
        self.current = current
        """What is stored."""


# Reading


def listed(
    connection: Connection, account_id: int, wanted: PairFilter, limit: int, before: int | None = None
) -> list[PairEntry]:
    """Return pairs, newest first, of those with ids less than `before`."""
    found = _filtered(select(KnowledgePair.__table__), account_id, wanted)
    if before:
        found = found.where(KnowledgePair.id < before)
    return [_entry(row) for row in connection.execute(found.order_by(KnowledgePair.id.desc()).limit(limit))]


def count(connection: Connection, account_id: int, wanted: PairFilter) -> int:
    """Return how many pairs there are."""
    return connection.scalar(_filtered(select(func.count()), account_id, wanted)) or 0


def _filtered(found: Select[Any], account_id: int, wanted: PairFilter) -> Select[Any]:
    is_deleted = (
        KnowledgePair.deleted_at.is_not(None) if wanted.deleted else KnowledgePair.deleted_at.is_(None)
    )
    found = found.where(KnowledgePair.account_id == account_id, is_deleted)
    if wanted.state:
        found = found.where(KnowledgePair.state == wanted.state)
    if wanted.source:
        found = found.where(KnowledgePair.source == wanted.source)
    for word in fold(wanted.text).split():
        found = found.where(KnowledgePair.searched.contains(word, autoescape=True))
    return found


def find(connection: Connection, account_id: int, pair_id: int) -> PairEntry:
    """Return a pair, also a deleted one.

    :raises PairNotFound: if there is none.
    """
    row = connection.execute(_this(account_id, pair_id)).one_or_none()
    if row is None:
        raise PairNotFound
    return _entry(row)


def history(connection: Connection, pair_id: int) -> Sequence[Row[Any]]:
    """Return the versions of a pair, newest first, as rows of `KnowledgePairVersion`."""
    found = select(KnowledgePairVersion.__table__).where(KnowledgePairVersion.pair_id == pair_id)
    return connection.execute(found.order_by(KnowledgePairVersion.version.desc())).all()


def all_pairs(connection: Connection, account_id: int) -> list[Pair]:
    """Return the pairs of an account that are not deleted, oldest first."""
    found = _filtered(select(KnowledgePair.definition), account_id, PairFilter()).order_by(KnowledgePair.id)
    return [strict_json.read(Pair, definition) for definition in connection.scalars(found)]


def _this(account_id: int, pair_id: int) -> Select[Any]:
    these = KnowledgePair.account_id == account_id, KnowledgePair.id == pair_id
    return select(KnowledgePair.__table__).where(*these)


def _entry(row: Any) -> PairEntry:
    return PairEntry(
        row.id,
        row.version,
        row.definition,
        KnowledgeState(row.state),
        PairSource(row.source),
        row.changed_at,
        row.operator,
        row.deleted_at is not None,
    )


# Changes


def subject(pair_id: int) -> str:
    """Return the name of a pair in the audit log."""
    return f"pair:{pair_id}"


@retry_conflicts
def create(
    engine: Engine, actor: Actor, account_id: int, definition: object, source: PairSource = PairSource.WRITTEN
) -> int:
    """Add a pair, and return its id.

    :raises InvalidDefinition: if it is not valid.
    """
    pair = strict_json.read(Pair, definition)
    with _change(engine, account_id) as connection:
        pair_id = _add(connection, actor, account_id, pair, source, Change.CREATED)
        after = strict_json.to_json(pair)
        audit.record(connection, actor, "pair_created", subject(pair_id), after=after)
        return pair_id


@retry_conflicts
def add_all(engine: Engine, actor: Actor, account_id: int, pairs: Collection[Pair]) -> int:
    """Add the pairs of a file that are not there already, and return how many these were."""
    with _change(engine, account_id) as connection:
        known = {(pair.question, pair.answer) for pair in all_pairs(connection, account_id)}
        new = {(pair.question, pair.answer): pair for pair in pairs}
        for key, pair in new.items():
            if key not in known:
                _add(connection, actor, account_id, pair, PairSource.IMPORTED, Change.IMPORTED)
        added = len(new.keys() - known)
        audit.record(connection, actor, "pairs_imported", f"knowledge:{account_id}", after={"pairs": added})
        return added


@retry_conflicts
def save(
    engine: Engine, actor: Actor, account_id: int, pair_id: int, version: int, definition: object
) -> None:
    """Replace `version` of a pair.

    :raises InvalidDefinition: if it is not valid.
    :raises PairNotFound: if there is none.
    :raises PairConflict: if it has another version by now, or is deleted.
    """
    pair = strict_json.read(Pair, definition)
    with _change(engine, account_id) as connection:
        current = find(connection, account_id, pair_id)
        if current.version != version or current.deleted:
            raise PairConflict(strict_json.to_json(pair), current)
        _replace(connection, actor, current, pair, Change.EDITED, "pair_saved")


@retry_conflicts
def approve(engine: Engine, actor: Actor, account_id: int, pair_ids: Collection[int]) -> int:
    """Approve those of these pairs that are suggestions, and return how many there were."""
    with _change(engine, account_id) as connection:
        these = _filtered(
            select(KnowledgePair.__table__), account_id, PairFilter(state=KnowledgeState.SUGGESTED)
        )
        found = connection.execute(these.where(KnowledgePair.id.in_(pair_ids))).all()
        for current in map(_entry, found):
            pair = replace(strict_json.read(Pair, current.definition), state=KnowledgeState.APPROVED)
            _replace(connection, actor, current, pair, Change.ENABLED, "pair_approved")
        return len(found)


@retry_conflicts
def delete(engine: Engine, actor: Actor, account_id: int, pair_ids: Collection[int]) -> int:
    """Delete pairs, which `restore` brings back, and return how many there were."""
    now = database_now()
    with _change(engine, account_id) as connection:
        these = _filtered(select(KnowledgePair.__table__), account_id, PairFilter())
        found = connection.execute(these.where(KnowledgePair.id.in_(pair_ids))).all()
        for current in map(_entry, found):
            _write(connection, actor, current, Change.DELETED, current.definition, deleted_at=now)
            audit.record(connection, actor, "pair_deleted", subject(current.id), before=current.definition)
        return len(found)


@retry_conflicts
def restore(engine: Engine, actor: Actor, account_id: int, pair_id: int, version: int) -> None:
    """Make an earlier version of a pair the present one, also of a deleted one.

    :raises PairNotFound: if there is no such version.
    :raises InvalidDefinition: if it is valid no more.
    """
    this = KnowledgePairVersion.pair_id == pair_id, KnowledgePairVersion.version == version
    with _change(engine, account_id) as connection:
        current = find(connection, account_id, pair_id)
        definition = connection.scalar(select(KnowledgePairVersion.definition).where(*this))
        if definition is None:
            raise PairNotFound
        pair = strict_json.read(Pair, definition)
        _replace(connection, actor, current, pair, Change.RESTORED, "pair_restored")


def _add(
    connection: Connection, actor: Actor, account_id: int, pair: Pair, source: PairSource, change: Change
) -> int:
    row = new_row(KnowledgePair, account_id=account_id, source=source, **_columns(actor, pair))
    [pair_id] = connection.execute(insert(KnowledgePair).values(row)).inserted_primary_key or (0,)
    _add_version(connection, actor, pair_id, 1, change, row["definition"])
    return int(pair_id)


def _replace(
    connection: Connection, actor: Actor, current: PairEntry, pair: Pair, change: Change, action: str
) -> None:
    columns = _columns(actor, pair)
    after = columns.pop("definition")
    _write(connection, actor, current, change, after, **columns, deleted_at=None)
    audit.record(connection, actor, action, subject(current.id), before=current.definition, after=after)


def _write(
    connection: Connection,
    actor: Actor,
    current: PairEntry,
    change: Change,
    definition: dict[str, Any],
    **columns: Any,
) -> None:
    version = current.version + 1
    values = {"version": version, "definition": definition, **columns}
    connection.execute(update(KnowledgePair).where(KnowledgePair.id == current.id).values(values))
    _add_version(connection, actor, current.id, version, change, definition)


def _add_version(
    connection: Connection,
    actor: Actor,
    pair_id: int,
    version: int,
    change: Change,
    definition: dict[str, Any],
) -> None:
    values = version_values(actor, change, version, definition)
    connection.execute(insert(KnowledgePairVersion).values(values | {"pair_id": pair_id}))


def _columns(actor: Actor, pair: Pair) -> dict[str, Any]:
    return {
        "definition": strict_json.to_json(pair),
        "state": pair.state,
        "searched": fold("\n".join((pair.question, *pair.wordings, pair.answer))),
        "changed_at": database_now(),
        "operator": actor.name[:64],
    }
