"""Erases followers: everything that is known of one, in small transactions, in the worker.

The first transaction takes the openid away from the follower's row. From then on a push of the same person
makes a new follower, and the row of `Erasure` says what is left to do, so that any worker can go on after a
crash. The last transaction deletes the follower, once nothing refers to it any more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    Text,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction, write
from ...models import (
    UNSETTLED,
    AuditEntry,
    Erasure,
    Follower,
    FollowerSync,
    MessageLog,
    MessageState,
    PendingUpdate,
)
from ...models.rows import new_row
from .. import audit
from ..audit import Actor
from ..followers.profiles import subject
from ..projections.projector import Projector
from ..questions.grouping import Questions
from ..search.index import FOLLOWERS
from .copies import Texts, load_texts, repeating
from .deletion import blank_rows, delete_messages, delete_rows, overwrite_deleted
from .places import FOLLOWER, MESSAGES, PLACES
from .register import Register

log = logging.getLogger(__name__)

_PREFIX = "erased:"
"""Begins what stands in place of the openid until the row is deleted. No openid contains a colon."""
_ENDED = {
    MessageState.RECEIVED: MessageState.FAILED,
    MessageState.LATE: MessageState.FAILED,
    MessageState.READY: MessageState.WITHHELD,
    MessageState.QUEUED: MessageState.WITHHELD,
}
"""What becomes of messages that wait to be answered or sent."""
_BLANK = {"alias": "", "remark": "", "unionid": "", "scene": "", "source": "", "subscribed": False}

Progress = Callable[[int, int], object]
"""Gets the number of messages that are deleted, and that of all."""


class Erasures:
    """Begins erasures and carries them out. Many processes may do so at once."""

    def __init__(
        self, engine: Engine, projector: Projector, questions: Questions, register: Register
    ) -> None:
        self._engine = engine
        self._projector = projector
        self._questions = questions
        self.register = register

    def begin(self, actor: Actor, account_id: int, follower_id: int) -> int:
        """Make a follower unknown at once, let a worker delete the rest, and return the id of the erasure.

        It is noted in the register first. A follower who is being erased has that erasure.

        :raises LookupError: if the account has no such follower.
        :raises OSError: if the register cannot be written.
        """
        this = Follower.id == follower_id, Follower.account_id == account_id
        with self._engine.connect() as connection:
            openid = connection.scalar(select(Follower.openid).where(*this))
        if openid is None:
            raise LookupError(follower_id)
        if not is_erased(openid):
            self.register.add(openid, database_now())
        return self._begin(actor, account_id, follower_id)

    def begin_again(self, actor: Actor, account_id: int) -> int:
        """Begin the erasures of the register again that a restored backup lacks, and return their number.

        Followers who came after their erasure are left alone.

        :raises FileNotFoundError: if there is no register.
        """
        erased, count, last = self.register.read(), 0, 0
        columns = Follower.id, Follower.openid, Follower.first_seen_at
        found = select(*columns).where(Follower.account_id == account_id).order_by(Follower.id).limit(1000)
        while True:
            with self._engine.connect() as connection:
                rows = connection.execute(found.where(Follower.id > last)).all()
            if not rows:
                return count
            last = rows[-1].id
            for row in rows:
                if (at := erased.when(row.openid)) and row.first_seen_at <= at:
                    self._begin(actor, account_id, row.id)
                    count += 1

    def work(self, account_id: int, seconds: float) -> None:
        """Carry erasures out for so many `seconds`."""
        deadline = time.monotonic() + seconds
        with self._engine.connect() as connection:
            ids = connection.scalars(select(Erasure.id).where(*_unfinished(account_id))).all()
        for erasure_id in ids:
            self.run(erasure_id, deadline=deadline)

    def run(
        self, erasure_id: int, progress: Progress = lambda done, total: None, deadline: float = float("inf")
    ) -> bool:
        """Carry an erasure out until a time of `time.monotonic`; return whether it is finished.

        It is also left for later where messages are still being processed.
        """
        with self._engine.connect() as connection:
            erasure = connection.execute(select(Erasure.__table__).where(Erasure.id == erasure_id)).one()
            texts = load_texts(connection, erasure.account_id)
        if erasure.finished_at:
            return True
        for done in self._delete_messages(erasure, texts):
            progress(done, erasure.total)
            if time.monotonic() >= deadline:
                log.info("erasure %d: %d of %d messages are deleted", erasure_id, done, erasure.total)
                return False
        for _ in self._empty_places(erasure.follower_id):
            if time.monotonic() >= deadline:
                return False
        return self._finish(erasure)

    @retry_conflicts
    def _begin(self, actor: Actor, account_id: int, follower_id: int) -> int:
        this = Follower.id == follower_id, Follower.account_id == account_id
        with self._engine.connect() as connection:
            names = connection.execute(select(Follower.openid, Follower.unionid).where(*this)).one()
            naming = _ids_naming(connection, names)
        with transaction(self._engine) as connection:
            overwrite_deleted(connection)
            openid = connection.scalars(select(Follower.openid).where(*this).with_for_update()).one()
            if is_erased(openid):
                present = Erasure.follower_id == follower_id, Erasure.finished_at.is_(None)
                return connection.scalars(select(Erasure.id).where(*present)).one()
            hidden = {**_BLANK, "openid": f"{_PREFIX}{follower_id}"}
            connection.execute(update(Follower).where(*this).values(hidden))
            FOLLOWERS.remove(connection, {follower_id})
            _forget_openid(connection, openid, naming)
            _end_messages(connection, follower_id)
            connection.execute(delete(PendingUpdate).where(PendingUpdate.follower_id == follower_id))
            row = new_row(
                Erasure,
                account_id=account_id,
                follower_id=follower_id,
                operator_id=actor.operator_id,
                operator=actor.name[:64],
                begun_at=database_now(),
                total=connection.scalar(_count_messages(follower_id)) or 0,
            )
            [erasure_id] = connection.execute(insert(Erasure), row).inserted_primary_key or (0,)
            audit.record(connection, actor, "erasure_begun", subject(follower_id))
            return int(erasure_id)

    def _delete_messages(self, erasure: Row[Any], texts: Texts) -> Iterator[int]:
        """Delete the messages, and yield the number of those that are deleted after each batch."""
        self._projector.catch_up()
        self._questions.catch_up(2.0)
        with self._engine.connect() as connection:
            left = connection.scalar(_count_messages(erasure.follower_id)) or 0
        done, copies = max(erasure.total - left, 0), set(erasure.copies)
        while rows := delete_messages(self._engine, MESSAGES.of(erasure.follower_id)):
            done += len(rows)
            copies |= repeating(texts, (row.text for row in rows))
            this = update(Erasure).where(Erasure.id == erasure.id)
            write(self._engine, this.values(done=done, copies=sorted(copies)))
            yield done

    def _empty_places(self, follower_id: int) -> Iterator[None]:
        """Delete or blank all else that belongs to the follower, in batches."""
        for place in PLACES:
            which = place.of(follower_id)
            last: int | None = 0
            while last is not None:
                if place.blanks is None:
                    last = delete_rows(self._engine, place.model, which) or None
                else:
                    last = blank_rows(self._engine, place.model, which, place.blanks, last)
                yield

    @retry_conflicts
    def _finish(self, erasure: Row[Any]) -> bool:
        """Delete the follower, unless something came meanwhile."""
        this = FOLLOWER.of(erasure.follower_id)
        deleted = (MESSAGES, *(place for place in PLACES if place.blanks is None))
        with transaction(self._engine) as connection:
            overwrite_deleted(connection)
            connection.execute(select(Follower.id).where(this).with_for_update())
            left = or_(*(exists().where(place.of(erasure.follower_id)) for place in deleted))
            if connection.scalar(select(left)):
                return False
            FOLLOWERS.remove(connection, {erasure.follower_id})
            connection.execute(delete(Follower).where(this))
            finished = update(Erasure).where(Erasure.id == erasure.id, Erasure.finished_at.is_(None))
            if connection.execute(finished.values(finished_at=database_now())).rowcount:
                actor = Actor(erasure.operator_id, erasure.operator, "")
                audit.record(connection, actor, "erasure_finished", subject(erasure.follower_id))
        log.info("erasure %d is finished", erasure.id)
        return True


def is_erased(openid: str) -> bool:
    """Whether a follower with this in place of the openid is being erased."""
    return openid.startswith(_PREFIX)


def latest(connection: Connection, account_id: int, limit: int) -> Sequence[Row[Any]]:
    """Return the latest erasures of an account, newest first."""
    found = select(Erasure.__table__).where(Erasure.account_id == account_id)
    return connection.execute(found.order_by(Erasure.id.desc()).limit(limit)).all()


def _count_messages(follower_id: int) -> Select[int]:
    return select(func.count()).select_from(MessageLog).where(MESSAGES.of(follower_id))


def _unfinished(account_id: int) -> tuple[Any, ...]:
    return Erasure.account_id == account_id, Erasure.finished_at.is_(None)


def _ids_naming(connection: Connection, names: Any) -> tuple[Sequence[int], Sequence[int]]:
    """Return the ids of entries of the audit log, and of messages of nobody, that name a follower.

    These are searches for the openid, for example, and reports of the platform about the person.
    """

    def name(*columns: Any) -> Any:
        parts = [
            cast(column, Text).contains(each, autoescape=True) for column in columns for each in names if each
        ]
        return or_(*parts)

    entries = select(AuditEntry.id).where(name(AuditEntry.before, AuditEntry.after, AuditEntry.detail))
    reports = select(MessageLog.id).where(MessageLog.follower_id.is_(None), name(MessageLog.payload))
    return connection.scalars(entries).all(), connection.scalars(reports).all()


def _forget_openid(connection: Connection, openid: str, naming: tuple[Sequence[int], Sequence[int]]) -> None:
    """Take the openid out of rows that do not belong to the follower."""
    entries, reports = naming
    blank = {"before": None, "after": None, "detail": ""}
    connection.execute(update(AuditEntry).where(AuditEntry.id.in_(entries)).values(blank))
    connection.execute(update(MessageLog).where(MessageLog.id.in_(reports)).values(payload={}, text=""))
    connection.execute(update(FollowerSync).where(FollowerSync.cursor == openid).values(cursor=""))


def _end_messages(connection: Connection, follower_id: int) -> None:
    """Let nothing be sent to the follower any more, and no handler answer."""
    for before, after in _ENDED.items():
        waiting = UNSETTLED, MessageLog.state == before, MESSAGES.of(follower_id)
        connection.execute(update(MessageLog).where(*waiting).values(state=after))
