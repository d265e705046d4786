"""Management of the operators of the console. Every change is recorded in the audit log."""

from __future__ import annotations

import functools
import re
import zoneinfo
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction, write
from ...models import Operator, OperatorSession, Role, Theme
from .. import audit
from ..audit import Actor
from . import passwords, throttle

FIRST_ADMIN_NAME = "admin"

_NAME = re.compile(r"[^\s@,，。:：;；!！?？]{1,64}")
"""Valid names: those that can be mentioned in a note as @name."""


class Problem(StrEnum):
    """Reasons why an operation is refused, as messages for the command line."""

    NAME = "A name has 1 to 64 letters, digits or characters such as - and _, and no blanks."
    NAME_TAKEN = "There is an operator with this name already."
    PASSWORD = "A password has 10 to 256 characters."
    PASSWORD_GUESSABLE = "This password is easy to guess: take several words that do not belong together."
    OWN_PASSWORD = "Your password is not right, or too many attempts have failed: try again later."
    CODE = "This code is not right: compare the clocks, and use a new one."
    TIME_ZONE = "There is no such time zone."
    LAST_ADMIN = "This is the last admin: make another one first."
    UNKNOWN = "There is no such operator."


class OperatorError(Exception):
    """An operation is refused; nothing was changed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem


def subject(operator_id: int) -> str:
    return f"operator:{operator_id}"


@functools.cache
def time_zones() -> tuple[str, ...]:
    """Return the names of all time zones that have a place, and "UTC"."""
    return tuple(sorted(name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC"))


@retry_conflicts
def create(engine: Engine, actor: Actor, name: str, role: Role, password: str) -> int:
    """Create an operator, who has to change the password at the first sign-in, and return its id.

    :raises OperatorError: if the name or the password is invalid, or the name is taken.
    """
    if not (_NAME.fullmatch(name) and name.isprintable()):
        raise OperatorError(Problem.NAME)
    values = {"name": name, "role": role}
    password_hash = _hash(password, name)
    found = select(Operator.id).where(Operator.name == name)
    with transaction(engine) as connection:
        if connection.scalar(found) is not None:
            raise OperatorError(Problem.NAME_TAKEN)
        more = {"password_hash": password_hash, "password_temporary": True, "created_at": database_now()}
        connection.execute(insert(Operator).values(values | more))
        operator_id = connection.scalars(found).one()
        audit.record(connection, actor, "operator_created", subject(operator_id), after=values)
        return operator_id


def create_first(engine: Engine) -> str | None:
    """Create the admin `FIRST_ADMIN_NAME` if there is no operator. Return the password, or None otherwise."""
    with engine.connect() as connection:
        if connection.scalar(select(func.count()).select_from(Operator)):
            return None
    password = passwords.generate()
    try:
        create(engine, Actor(None, "first start", ""), FIRST_ADMIN_NAME, Role.ADMIN, password)
    except OperatorError:  # another process created it meanwhile
        return None
    return password


@retry_conflicts
def set_role(engine: Engine, actor: Actor, operator_id: int, role: Role) -> None:
    """Change the role of an operator, which applies from the next request on.

    :raises OperatorError: if there is no such operator, or it is the last admin.
    """
    with transaction(engine) as connection:
        if role != Role.ADMIN:
            _require_another_admin(connection, operator_id)
        operator = lock(connection, operator_id)
        if operator.role != role:
            _change(connection, operator_id, role=role)
            target = subject(operator_id)
            audit.record(connection, actor, "role_changed", target, before=operator.role, after=role)


@retry_conflicts
def disable(engine: Engine, actor: Actor, operator_id: int) -> None:
    """Prevent an operator from signing in, and end all of its sessions.

    :raises OperatorError: if there is no such operator, or it is the last admin.
    """
    with transaction(engine) as connection:
        _require_another_admin(connection, operator_id)
        if not lock(connection, operator_id).disabled:
            _change(connection, operator_id, disabled=True)
            _end_sessions(connection, operator_id)
            audit.record(connection, actor, "operator_disabled", subject(operator_id))


@retry_conflicts
def enable(engine: Engine, actor: Actor, operator_id: int) -> None:
    """Allow an operator to sign in again.

    :raises OperatorError: if there is no such operator.
    """
    with transaction(engine) as connection:
        operator = lock(connection, operator_id)
        if operator.disabled:
            _change(connection, operator_id, disabled=False)
            throttle.clear(connection, operator_id, operator.name)
            audit.record(connection, actor, "operator_enabled", subject(operator_id))


def reset_password(engine: Engine, actor: Actor, operator_id: int, password: str) -> None:
    """Set the password of an operator, who has to change it at the next sign-in, and end all of its sessions.

    :raises OperatorError: if there is no such operator, or the password is invalid.
    """
    _set_password(engine, actor, operator_id, password, "password_reset", temporary=True)


def change_password(
    engine: Engine, actor: Actor, operator_id: int, password: str, keep_session: int | None
) -> None:
    """Set the operator's own password, and end all sessions except `keep_session`.

    :raises OperatorError: if the password is invalid.
    """
    _set_password(engine, actor, operator_id, password, "password_changed", keep_session, temporary=False)


@retry_conflicts
def _set_password(
    engine: Engine,
    actor: Actor,
    operator_id: int,
    password: str,
    action: str,
    keep_session: int | None = None,
    *,
    temporary: bool,
) -> None:
    password_hash = _hash(password, _name(engine, operator_id))
    with transaction(engine) as connection:
        operator = lock(connection, operator_id)
        _change(connection, operator_id, password_hash=password_hash, password_temporary=temporary)
        throttle.clear(connection, operator_id, operator.name)
        _end_sessions(connection, operator_id, keep_session)
        audit.record(connection, actor, action, subject(operator_id))


def set_preferences(engine: Engine, operator_id: int, **values: Any) -> None:
    """Set preferences: columns of `Operator`, from `language` on.

    :raises OperatorError: if there is no such time zone.
    """
    if values.get("time_zone", "UTC") not in time_zones():
        raise OperatorError(Problem.TIME_ZONE)
    if "theme" in values:
        values["theme"] = Theme(values["theme"])
    write(engine, update(Operator).where(Operator.id == operator_id).values(values))


def _hash(password: str, name: str) -> str:
    if not passwords.has_valid_length(password):
        raise OperatorError(Problem.PASSWORD)
    if passwords.is_guessable(password, name):
        raise OperatorError(Problem.PASSWORD_GUESSABLE)
    return passwords.make_hash(password)


def _name(engine: Engine, operator_id: int) -> str:
    with engine.connect() as connection:
        if name := connection.scalar(select(Operator.name).where(Operator.id == operator_id)):
            return name
    raise OperatorError(Problem.UNKNOWN)


def lock(connection: Connection, operator_id: int) -> Row[Any]:
    """Lock and return the row of an operator.

    :raises OperatorError: if there is no such operator.
    """
    found = select(Operator.__table__).where(Operator.id == operator_id).with_for_update()
    if operator := connection.execute(found).one_or_none():
        return operator
    raise OperatorError(Problem.UNKNOWN)


def _change(connection: Connection, operator_id: int, **values: Any) -> None:
    connection.execute(update(Operator).where(Operator.id == operator_id).values(values))


def _require_another_admin(connection: Connection, operator_id: int) -> None:
    """Lock all admins, so that the last two cannot be removed concurrently.

    :raises OperatorError: if `operator_id` is the last admin.
    """
    active = Operator.role == Role.ADMIN, Operator.disabled.is_(False)
    admins = select(Operator.id).where(*active).order_by(Operator.id).with_for_update()
    if list(connection.scalars(admins)) == [operator_id]:
        raise OperatorError(Problem.LAST_ADMIN)


def _end_sessions(connection: Connection, operator_id: int, keep: int | None = None) -> None:
    sessions = delete(OperatorSession).where(OperatorSession.operator_id == operator_id)
    connection.execute(sessions.where(OperatorSession.id != keep) if keep else sessions)
