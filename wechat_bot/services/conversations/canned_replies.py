"""Canned replies: prepared answers that operators send. Every version is kept, and none is overwritten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, insert, or_, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import CannedReply, CannedReplyVersion, Change
from ...routing import strict_json
from ...routing.answers import MAX_TITLE, PreparedAnswer, variables_in
from ...routing.strict_json import Definition, InvalidDefinition, Problem, ProblemCode
from .. import audit
from ..audit import Actor
from ..media import answer_files
from ..media.library import Usage, Usages
from ..versions import version_values

KINDS = ("text", "image", "voice", "video", "news", "choices", "mini_program", "music", "published")
"""The kinds of answers that operators can send."""
MAX_SHORTCUT = 32
VARIABLES = ("follower", "operator", "date")
"""The variables of texts: the follower's alias, the operator's name, and the date."""


@dataclass(frozen=True)
class CannedDefinition(Definition):
    """What a canned reply consists of."""

    shortcut: str
    """What is typed after "/" to find it."""
    answer: PreparedAnswer
    title: str = ""
    own: bool = False
    """Whether only its author can use it."""

    def problems(self) -> Iterator[Problem]:
        if not self.shortcut:
            yield Problem("shortcut", ProblemCode.BLANK)
        for name, limit in (("shortcut", MAX_SHORTCUT), ("title", MAX_TITLE)):
            if len(getattr(self, name)) > limit:
                yield Problem(name, ProblemCode.CHARACTERS, str(limit))
        if self.answer.kind not in KINDS:
            yield Problem("answer.kind", ProblemCode.VALUE, ", ".join(KINDS))
        used = set().union(*map(variables_in, self.answer.templates))
        for name in sorted(used.difference(VARIABLES)):
            yield Problem("answer.text", ProblemCode.VARIABLE, name)


@dataclass(frozen=True)
class CannedEntry:
    """A canned reply as it is stored."""

    id: int
    version: int
    definition: dict[str, Any]
    operator_id: int | None
    """Whose it is; None: everybody's."""
    used: int
    deleted: bool

    @property
    def answer(self) -> PreparedAnswer:
        """What it sends.

        :raises InvalidDefinition: if an earlier release of the program accepted it, and this one does not.
        """
        return strict_json.read(PreparedAnswer, self.definition["answer"])


class CannedNotFound(LookupError):
    """There is no such canned reply, or no such version, or it belongs to somebody else."""


class CannedConflict(Exception):
    """Somebody else has changed the canned reply meanwhile; nothing was written."""

    def __init__(self, mine: dict[str, Any], current: CannedEntry) -> None:
        super().__init__(f"canned reply {current.id} has version {current.version} by now")
        self.mine = mine
        """The definition that was to be saved."""
        self.current = current
        """What is stored."""


# Reading


def at_hand(connection: Connection, account_id: int, operator_id: int) -> list[CannedEntry]:
    """Return the shared canned replies and the operator's own, most used first."""
    found = _usable(account_id, operator_id).where(CannedReply.deleted_at.is_(None))
    ordered = found.order_by(CannedReply.used.desc(), CannedReply.shortcut)
    return [_entry(row) for row in connection.execute(ordered)]


def deleted(connection: Connection, account_id: int, operator_id: int) -> list[CannedEntry]:
    """Return those that are deleted, newest first."""
    found = _usable(account_id, operator_id).where(CannedReply.deleted_at.is_not(None))
    return [_entry(row) for row in connection.execute(found.order_by(CannedReply.deleted_at.desc()))]


def find(connection: Connection, account_id: int, operator_id: int, reply_id: int) -> CannedEntry:
    """Return a canned reply that is shared or the operator's own, also a deleted one.

    :raises CannedNotFound: if there is none.
    """
    row = connection.execute(_usable(account_id, operator_id).where(CannedReply.id == reply_id)).one_or_none()
    if row is None:
        raise CannedNotFound
    return _entry(row)


def history(connection: Connection, reply_id: int) -> Sequence[Row[Any]]:
    """Return the versions of a canned reply, newest first, as rows of `CannedReplyVersion`."""
    found = select(CannedReplyVersion.__table__).where(CannedReplyVersion.reply_id == reply_id)
    return connection.execute(found.order_by(CannedReplyVersion.version.desc())).all()


def files_in_use(connection: Connection, account_id: int) -> Usages:
    """Return the canned replies of an account that have files, by the ids of the files."""
    present = CannedReply.account_id == account_id, CannedReply.deleted_at.is_(None)
    used: dict[int, list[Usage]] = defaultdict(list)
    for row in connection.execute(select(CannedReply.__table__).where(*present)):
        for file_id in answer_files.ids_in(row.answer).values():
            used[file_id].append(Usage(subject(row.id), f"/{row.shortcut}"))
    return used


def values_for(follower: str, operator: str, today: date) -> dict[str, str]:
    """Return the value of each of `VARIABLES`; empty if there is none."""
    return {"follower": follower, "operator": operator, "date": today.isoformat()}


def _usable(account_id: int, operator_id: int | None) -> Any:
    shared = or_(CannedReply.operator_id.is_(None), CannedReply.operator_id == operator_id)
    return select(CannedReply.__table__).where(CannedReply.account_id == account_id, shared)


def _entry(row: Any) -> CannedEntry:
    definition = {"shortcut": row.shortcut, "answer": row.answer}
    if row.title:
        definition["title"] = row.title
    if row.operator_id is not None:
        definition["own"] = True
    deleted = row.deleted_at is not None
    return CannedEntry(row.id, row.version, definition, row.operator_id, row.used, deleted)


# Changes


def subject(reply_id: int) -> str:
    """Return the name of a canned reply in the audit log."""
    return f"canned:{reply_id}"


@retry_conflicts
def create(engine: Engine, actor: Actor, account_id: int, definition: object) -> int:
    """Add a canned reply, and return its id.

    :raises InvalidDefinition: if it is not valid, its shortcut is taken, or its file is gone.
    """
    content = strict_json.read(CannedDefinition, definition)
    with transaction(engine) as connection:
        _check(connection, actor, account_id, content)
        values = _columns(actor, content) | {"account_id": account_id}
        inserted = connection.execute(insert(CannedReply).values(values))
        reply_id: int = inserted.inserted_primary_key[0]  # type: ignore[index]
        after = strict_json.to_json(content)
        _add_version(connection, actor, reply_id, 1, Change.CREATED, after)
        audit.record(connection, actor, "canned_created", subject(reply_id), after=after)
    return reply_id


@retry_conflicts
def save(
    engine: Engine, actor: Actor, account_id: int, reply_id: int, version: int, definition: object
) -> None:
    """Replace `version` of a canned reply.

    :raises InvalidDefinition: if it is not valid, its shortcut is taken, or its file is gone.
    :raises CannedNotFound: if there is none that is shared or the operator's own.
    :raises CannedConflict: if it has another version by now, or is deleted.
    """
    content = strict_json.read(CannedDefinition, definition)
    with transaction(engine) as connection:
        current = _locked(connection, actor, account_id, reply_id)
        if current.version != version or current.deleted:
            raise CannedConflict(strict_json.to_json(content), current)
        _replace(connection, actor, account_id, current, content, Change.EDITED, "canned_saved")


@retry_conflicts
def delete(engine: Engine, actor: Actor, account_id: int, reply_id: int) -> None:
    """Delete a canned reply, which `restore` brings back.

    :raises CannedNotFound: if there is none that is shared or the operator's own.
    """
    with transaction(engine) as connection:
        current = _locked(connection, actor, account_id, reply_id)
        if not current.deleted:
            gone = {"version": current.version + 1, "deleted_at": database_now()}
            connection.execute(update(CannedReply).where(CannedReply.id == reply_id).values(gone))
            change = Change.DELETED
            _add_version(connection, actor, reply_id, current.version + 1, change, current.definition)
            audit.record(connection, actor, "canned_removed", subject(reply_id), before=current.definition)


@retry_conflicts
def restore(engine: Engine, actor: Actor, account_id: int, reply_id: int, version: int) -> None:
    """Make an earlier version of a canned reply the present one, also of a deleted one.

    :raises CannedNotFound: if there is no such version.
    :raises InvalidDefinition: if it is valid no more, its shortcut is taken, or its file is gone.
    """
    this = CannedReplyVersion.reply_id == reply_id, CannedReplyVersion.version == version
    with transaction(engine) as connection:
        current = _locked(connection, actor, account_id, reply_id)
        definition = connection.scalar(select(CannedReplyVersion.definition).where(*this))
        if definition is None:
            raise CannedNotFound
        content = strict_json.read(CannedDefinition, definition)
        _replace(connection, actor, account_id, current, content, Change.RESTORED, "canned_restored")


def count_use(connection: Connection, account_id: int, reply_ids: Collection[int]) -> None:
    """Count that canned replies were sent, in the transaction that queues the answer."""
    these = CannedReply.id.in_(reply_ids), CannedReply.account_id == account_id
    connection.execute(update(CannedReply).where(*these).values(used=CannedReply.used + 1))


def _locked(connection: Connection, actor: Actor, account_id: int, reply_id: int) -> CannedEntry:
    this = _usable(account_id, actor.operator_id).where(CannedReply.id == reply_id)
    row = connection.execute(this.with_for_update()).one_or_none()
    if row is None:
        raise CannedNotFound
    return _entry(row)


def _replace(
    connection: Connection,
    actor: Actor,
    account_id: int,
    current: CannedEntry,
    content: CannedDefinition,
    change: Change,
    action: str,
) -> None:
    _check(connection, actor, account_id, content, current.id)
    version, after = current.version + 1, strict_json.to_json(content)
    values = _columns(actor, content) | {"version": version, "deleted_at": None}
    connection.execute(update(CannedReply).where(CannedReply.id == current.id).values(values))
    _add_version(connection, actor, current.id, version, change, after)
    audit.record(connection, actor, action, subject(current.id), before=current.definition, after=after)


def _columns(actor: Actor, content: CannedDefinition) -> dict[str, Any]:
    return {
        "operator_id": actor.operator_id if content.own else None,
        "shortcut": content.shortcut,
        "title": content.title,
        "answer": strict_json.to_json(content.answer),
    }


def _add_version(
    connection: Connection, actor: Actor, reply_id: int, version: int, change: Change, definition: Any
) -> None:
    values = version_values(actor, change, version, definition)
    connection.execute(insert(CannedReplyVersion).values(values | {"reply_id": reply_id}))


def _check(
    connection: Connection,
    actor: Actor,
    account_id: int,
    content: CannedDefinition,
    reply_id: int | None = None,
) -> None:
    """Check that the file is there, and that the shortcut is of no other canned reply, shared or their own.

    :raises InvalidDefinition: if that is not so.
    """
    answer = {"answer": strict_json.to_json(content.answer)}
    problems = list(answer_files.problems(connection, account_id, answer))
    whose: ColumnElement[bool] = CannedReply.operator_id.is_(None)
    if content.own:
        whose = CannedReply.operator_id == actor.operator_id
    present = CannedReply.account_id == account_id, CannedReply.deleted_at.is_(None), whose
    same = select(CannedReply.id).where(*present, CannedReply.shortcut == content.shortcut)
    if any(found != reply_id for found in connection.scalars(same)):
        problems.append(Problem("shortcut", ProblemCode.TAKEN))
    if problems:
        raise InvalidDefinition(tuple(problems))
