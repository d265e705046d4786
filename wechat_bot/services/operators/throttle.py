"""Guessing gets slower: failed sign-ins are counted for each name and for each address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from ...models import Lockout

MAX_FAILURES = {"name": 5, "address": 20}
"""After so many failures the first wait begins; each further one doubles it. An address may be an office."""
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
FAILURE_RETENTION = timedelta(hours=24)
"""Failures count until there was none for so long."""


@dataclass(frozen=True)
class SignInAttempt:
    """An attempt may be made, and `locks` are the kinds whose wait begins when it fails; or none may be
    before `until`."""

    until: datetime | None = None
    locks: tuple[str, ...] = ()


def count(connection: Connection, name: str, address: str, now: datetime) -> SignInAttempt:
    """Count an attempt as failed before it is made: so parallel guesses cannot outrun the count."""
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
    """The attempt that was counted did not fail."""
    _subtract(connection, _rows(connection, name, address).values(), 1)


def reset(connection: Connection, name: str, address: str) -> None:
    """Who has signed in as `name` has made the failures before, too."""
    rows = _rows(connection, name, address)
    if "name" in rows:
        _subtract(connection, rows.values(), rows["name"].failures)


def clear(connection: Connection, name: str) -> None:
    """Let `name` be tried again at once."""
    connection.execute(delete(Lockout).where(Lockout.kind == "name", Lockout.value == name))


def clean(connection: Connection, now: datetime) -> None:
    """Remove what counts no more."""
    connection.execute(delete(Lockout).where(Lockout.failed_at < now - FAILURE_RETENTION))


def _until(kind: str, failures: int, failed_at: datetime) -> datetime | None:
    doublings = failures - MAX_FAILURES[kind]
    if doublings < 0:
        return None
    return failed_at + min(FIRST_WAIT * (1 << min(doublings, 10)), LONGEST_WAIT)


def _keys(name: str, address: str) -> list[tuple[str, str]]:
    return [("address", _network(address)), ("name", name)]


def _network(address: str) -> str:
    """An address of IPv6 stands for all 2**64 that its owner has."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False))


def _rows(connection: Connection, name: str, address: str) -> dict[str, Row[tuple[Lockout]]]:
    """What is counted, by kind; locked, and always in the same order, so that nobody waits in a circle."""
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
