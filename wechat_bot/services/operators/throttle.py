"""Throttling of sign-ins: failures are counted for each name and for each address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from ...models import Lockout

MAX_FAILURES = {"name": 5, "address": 20}
"""Number of failures after which the first wait begins; each further failure doubles it.

The limit of addresses is higher, since a whole office may share one.
"""
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
FAILURE_RETENTION = timedelta(hours=24)
"""Time without failures after which the earlier ones are discarded."""


@dataclass(frozen=True)
class SignInAttempt:
    """Whether an attempt to sign in may be made."""

    until: datetime | None = None
    """No attempt may be made before this time; None if one may be made now."""
    locks: tuple[str, ...] = ()
    """The kinds, "name" or "address", whose wait begins if the attempt fails."""


def count_attempt(connection: Connection, name: str, address: str, now: datetime) -> SignInAttempt:
    """Count an attempt as failed before it is made, so that parallel attempts cannot exceed the limit."""
    rows = _rows(connection, name, address)
    waits = [row.until for row in rows.values() if row.until and row.until > now]
    if waits:
        return SignInAttempt(until=max(waits))
    locks = []
    for kind, value in _keys(name, address):
        row = rows.get(kind)
        failures = row.failures + 1 if row and row.failed_at > now - FAILURE_RETENTION else 1
        values = {"failures": failures, "failed_at": now, "until": _until(kind, failures, now)}
        if row:
            connection.execute(update(Lockout).where(Lockout.id == row.id).values(values))
        else:
            connection.execute(insert(Lockout).values(kind=kind, value=value, **values))
        if values["until"]:
            locks.append(kind)
    return SignInAttempt(locks=tuple(locks))


def refund(connection: Connection, name: str, address: str) -> None:
    """Subtract an attempt that was counted and did not fail."""
    _subtract(connection, _rows(connection, name, address).values(), 1)


def reset(connection: Connection, name: str, address: str) -> None:
    """After a sign-in as `name`, remove its failures from the name and from the address."""
    rows = _rows(connection, name, address)
    if "name" in rows:
        _subtract(connection, rows.values(), rows["name"].failures)


def clear(connection: Connection, name: str) -> None:
    """Remove all failures of `name`, so that it can be tried again at once."""
    connection.execute(delete(Lockout).where(Lockout.kind == "name", Lockout.value == name))


def delete_expired(connection: Connection, now: datetime) -> None:
    """Delete counts whose last failure is older than `FAILURE_RETENTION`."""
    connection.execute(delete(Lockout).where(Lockout.failed_at < now - FAILURE_RETENTION))


def _until(kind: str, failures: int, failed_at: datetime) -> datetime | None:
    doublings = failures - MAX_FAILURES[kind]
    if doublings < 0:
        return None
    return failed_at + min(FIRST_WAIT * (1 << min(doublings, 10)), LONGEST_WAIT)


def _keys(name: str, address: str) -> list[tuple[str, str]]:
    return [("address", _network(address)), ("name", name)]


def _network(address: str) -> str:
    """Return an IPv6 address as its /64 network, all of whose addresses usually have one owner."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False))


def _rows(connection: Connection, name: str, address: str) -> dict[str, Row[tuple[Lockout]]]:
    """Return the counts by kind. The rows are locked in a fixed order, which prevents deadlocks."""
    keys = [and_(Lockout.kind == kind, Lockout.value == value) for kind, value in _keys(name, address)]
    found = select(Lockout.__table__).where(or_(*keys)).order_by(Lockout.kind).with_for_update()
    return {row.kind: row for row in connection.execute(found)}


def _subtract(connection: Connection, rows: Iterable[Row[tuple[Lockout]]], failures: int) -> None:
    for row in rows:
        left = row.failures - failures
        this = Lockout.id == row.id
        if left > 0:
            until = _until(row.kind, left, row.failed_at)
            connection.execute(update(Lockout).where(this).values(failures=left, until=until))
        else:
            connection.execute(delete(Lockout).where(this))
