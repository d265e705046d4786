"""Who may work in the console. Every change is in the audit log."""

from __future__ import annotations

import functools
import re
import zoneinfo
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import Operator, OperatorSession, Role, Theme
from .. import audit
from ..audit import Actor
from . import passwords, throttle

FIRST_NAME = "admin"

_NAME = re.compile(r"[^\s@,，。:：;；!！?？]{1,64}")
"""What a note can mention as @name."""


class Problem(StrEnum):
    """Why something cannot be done, in a sentence."""

    NAME = "A name has 1 to 64 letters, digits or characters such as - and _, and no blanks."
    NAME_TAKEN = "There is an operator with this name already."
    PASSWORD = "A password has 10 to 256 characters."
    CODE = "This code is not right: compare the clocks, and use a new one."
    TIME_ZONE = "There is no such time zone."
    LAST_ADMIN = "This is the last admin: make another one first."
    UNKNOWN = "There is no such operator."


class OperatorError(Exception):
    """The `problem`; nothing was changed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem


def subject(operator_id: int) -> str:
    """How the audit log names an operator."""
    return f"operator:{operator_id}"


@functools.cache
def time_zones() -> tuple[str, ...]:
    """The names of the zones that people live in."""
    return tuple(sorted(name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC"))


def create(engine: Engine, actor: Actor, name: str, role: Role, password: str) -> int:
    """A new operator's id; OperatorError."""
    if not (_NAME.fullmatch(name) and name.isprintable()):
        raise OperatorError(Problem.NAME)
    return _insert(engine, actor, name, role, _hash(password))


@retry_conflicts
def _insert(engine: Engine, actor: Actor, name: str, role: Role, password_hash: str) -> int:
    taken = select(Operator.id).where(Operator.name == name)
    with transaction(engine) as connection:
        if connection.scalar(taken) is not None:
            raise OperatorError(Problem.NAME_TAKEN)
        values = {"name": name, "role": role, "password_hash": password_hash, "created_at": datetime.now(UTC)}
        connection.execute(insert(Operator).values(values))
        operator_id = connection.scalar(taken)
        assert operator_id is not None
        after = {"name": name, "role": role}
        audit.record(connection, actor, "operator_created", subject(operator_id), after=after)
        return operator_id


def create_first(engine: Engine) -> str | None:
    """The password of the first admin, `FIRST_NAME`, who is made when there is no operator."""
    with engine.connect() as connection:
        if connection.scalar(select(func.count()).select_from(Operator)):
            return None
    password = passwords.generate()
    try:
        create(engine, Actor(None, "first start", ""), FIRST_NAME, Role.ADMIN, password)
    except OperatorError:  # another process was faster
        return None
    return password


@retry_conflicts
def set_role(engine: Engine, actor: Actor, operator_id: int, role: Role) -> None:
    """Counts from the operator's next click on; OperatorError."""
    with transaction(engine) as connection:
        if role != Role.ADMIN:
            _require_another_admin(connection, operator_id)
        operator = _locked(connection, operator_id)
        if operator.role == role:
            return
        connection.execute(update(Operator).where(Operator.id == operator_id).values(role=role))
        audit.record(
            connection, actor, "role_changed", subject(operator_id), before=operator.role, after=role
        )


@retry_conflicts
def disable(engine: Engine, actor: Actor, operator_id: int) -> None:
    """Sign an operator out everywhere, and let nobody sign in under the name; OperatorError."""
    with transaction(engine) as connection:
        _require_another_admin(connection, operator_id)
        operator = _locked(connection, operator_id)
        if operator.disabled:
            return
        connection.execute(update(Operator).where(Operator.id == operator_id).values(disabled=True))
        _end_sessions(connection, operator_id)
        audit.record(connection, actor, "operator_disabled", subject(operator_id))


@retry_conflicts
def enable(engine: Engine, actor: Actor, operator_id: int) -> None:
    """Let an operator sign in again; OperatorError."""
    with transaction(engine) as connection:
        operator = _locked(connection, operator_id)
        if not operator.disabled:
            return
        connection.execute(update(Operator).where(Operator.id == operator_id).values(disabled=False))
        throttle.clear(connection, operator.name)
        audit.record(connection, actor, "operator_enabled", subject(operator_id))


def reset_password(engine: Engine, actor: Actor, operator_id: int, password: str) -> None:
    """Give an operator another password, and sign them out everywhere; OperatorError."""
    _set_password(engine, actor, operator_id, _hash(password), "password_reset", keep_session=None)


def change_password(
    engine: Engine, actor: Actor, operator_id: int, password: str, keep_session: int | None
) -> None:
    """An operator's own new password, which ends all sessions but one; OperatorError."""
    _set_password(engine, actor, operator_id, _hash(password), "password_changed", keep_session)


@retry_conflicts
def _set_password(
    engine: Engine,
    actor: Actor,
    operator_id: int,
    password_hash: str,
    action: str,
    keep_session: int | None,
) -> None:
    with transaction(engine) as connection:
        operator = _locked(connection, operator_id)
        connection.execute(
            update(Operator).where(Operator.id == operator_id).values(password_hash=password_hash)
        )
        throttle.clear(connection, operator.name)
        _end_sessions(connection, operator_id, keep_session)
        audit.record(connection, actor, action, subject(operator_id))


@retry_conflicts
def set_preferences(engine: Engine, operator_id: int, **values: Any) -> None:
    """How an operator likes the console: `language`, `time_zone`, `theme`, `shortcuts`, `sound`, `columns`,
    `dense`; OperatorError."""
    if values.get("time_zone", "UTC") not in time_zones():
        raise OperatorError(Problem.TIME_ZONE)
    if "theme" in values:
        values["theme"] = Theme(values["theme"])
    with transaction(engine) as connection:
        connection.execute(update(Operator).where(Operator.id == operator_id).values(values))


def _hash(password: str) -> str:
    if not passwords.is_acceptable(password):
        raise OperatorError(Problem.PASSWORD)
    return passwords.make_hash(password)


def _locked(connection: Connection, operator_id: int) -> Row[Any]:
    found = select(Operator.__table__).where(Operator.id == operator_id).with_for_update()
    return connection.execute(found).one_or_none() or _unknown()


def _unknown() -> Row[Any]:
    raise OperatorError(Problem.UNKNOWN)


def _require_another_admin(connection: Connection, operator_id: int) -> None:
    """Locks all admins, so that the last two cannot go at the same time."""
    active = Operator.role == Role.ADMIN, Operator.disabled.is_(False)
    admins = select(Operator.id).where(*active).order_by(Operator.id).with_for_update()
    if list(connection.scalars(admins)) == [operator_id]:
        raise OperatorError(Problem.LAST_ADMIN)


def _end_sessions(connection: Connection, operator_id: int, keep: int | None = None) -> None:
    ended = delete(OperatorSession).where(OperatorSession.operator_id == operator_id)
    connection.execute(ended.where(OperatorSession.id != keep) if keep else ended)
