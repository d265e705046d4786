"""Throttling of sign-ins: failures are counted for each name and each address, and for each known browser."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from ...models import Lockout

MAX_FAILURES = {"name": 5, "address": 20, "device": 5}
"""Number of failures after which the first wait begins; each further failure doubles it.

The limit of addresses is higher, since a whole office may share one.
"""
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
FAILURE_RETENTION = timedelta(hours=24)
"""Time after which a failure no longer counts."""

Keys = tuple[tuple[str, str], ...]
"""What an attempt is counted for: kinds and values of `Lockout`, ordered by kind."""


@dataclass(frozen=True)
class SignInAttempt:
    """An attempt to sign in, and whether it may be made."""

    keys: Keys
    at: datetime
    until: datetime | None = None
    """No attempt may be made before this time; None if one may be made now."""
    blocked: int = 0
    """The number of attempts during this wait, this one included."""
    locks: tuple[str, ...] = ()
    """The kinds whose wait begins if the attempt fails."""


def keys(name: str, operator_id: int | None, address: str, device: str) -> Keys:
    """Return what an attempt is counted for.

    A browser in which this operator has signed in before is counted by itself, so that failures of strangers
    lock neither it nor its office out. `device` is the content of its cookie, see `new_device`.
    """
    if operator_id is not None and device.startswith(_device_prefix(operator_id)):
        return (("device", device),)
    return (("address", _network(address)), ("name", name))


def count_attempt(connection: Connection, keys: Keys, now: datetime) -> SignInAttempt:
    """Count an attempt as failed before it is made, so that parallel attempts cannot exceed the limit."""
    rows = _rows(connection, keys)
    recent = {kind: _recent(rows[kind].failures, now) if kind in rows else [] for kind, _ in keys}
    waits = {kind: until for kind, times in recent.items() if (until := _until(kind, times)) and until > now}
    if waits:
        kind = max(waits, key=waits.__getitem__)
        blocked = rows[kind].blocked + 1
        connection.execute(update(Lockout).where(Lockout.id == rows[kind].id).values(blocked=blocked))
        return SignInAttempt(keys, now, until=waits[kind], blocked=blocked)
    for kind, value in keys:
        recent[kind].append(now.timestamp())
        values = {"failures": recent[kind], "failed_at": now, "blocked": 0}
        if kind in rows:
            connection.execute(update(Lockout).where(Lockout.id == rows[kind].id).values(values))
        else:
            connection.execute(insert(Lockout).values(kind=kind, value=value, **values))
    return SignInAttempt(
        keys, now, locks=tuple(kind for kind, times in recent.items() if _until(kind, times))
    )


def refund(connection: Connection, attempt: SignInAttempt) -> None:
    """Take back an attempt that did not fail, which restores the counts and waits that were there before."""
    for row in _rows(connection, attempt.keys).values():
        _remove(connection, row, [attempt.at.timestamp()])


def reset(connection: Connection, keys: Keys) -> None:
    """After a sign-in, remove the failures of the name or device, also from the address where they were."""
    rows = _rows(connection, keys)
    if own := rows.get("device") or rows.get("name"):
        for row in rows.values():
            _remove(connection, row, own.failures)


def clear(connection: Connection, operator_id: int, name: str) -> None:
    """Remove all failures of an operator, so that it can sign in at once."""
    devices = and_(Lockout.kind == "device", Lockout.value.startswith(_device_prefix(operator_id)))
    names = and_(Lockout.kind == "name", Lockout.value == name)
    connection.execute(delete(Lockout).where(or_(devices, names)))


def delete_expired(connection: Connection, now: datetime) -> None:
    """Delete counts whose last failure is older than `FAILURE_RETENTION`."""
    connection.execute(delete(Lockout).where(Lockout.failed_at < now - FAILURE_RETENTION))


def new_device(operator_id: int) -> str:
    """Return the content of a cookie for a browser in which this operator has signed in, to be signed."""
    return _device_prefix(operator_id) + secrets.token_urlsafe(16)


def _device_prefix(operator_id: int) -> str:
    return f"{operator_id}:"


def _recent(failures: Iterable[float], now: datetime) -> list[float]:
    oldest = (now - FAILURE_RETENTION).timestamp()
    return [time for time in failures if time > oldest]


def _until(kind: str, failures: list[float]) -> datetime | None:
    doublings = len(failures) - MAX_FAILURES[kind]
    if doublings < 0:
        return None
    wait = min(FIRST_WAIT * (1 << min(doublings, 10)), LONGEST_WAIT)
    return datetime.fromtimestamp(failures[-1], UTC) + wait


def _network(address: str) -> str:
    """Return an IPv6 address as its /64 network, all of whose addresses usually have one owner.

    An IPv4 address in the form ::ffff:192.0.2.1, in which a server of both versions sees it, stays itself.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if ip.version == 4 or ip.ipv4_mapped:
        return str(ip)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def _rows(connection: Connection, keys: Keys) -> dict[str, Row[tuple[Lockout]]]:
    """Return the counts by kind. The rows are locked in a fixed order, which prevents deadlocks."""
    conditions = [and_(Lockout.kind == kind, Lockout.value == value) for kind, value in keys]
    found = select(Lockout.__table__).where(or_(*conditions)).order_by(Lockout.kind).with_for_update()
    return {row.kind: row for row in connection.execute(found)}


def _remove(connection: Connection, row: Row[tuple[Lockout]], times: Iterable[float]) -> None:
    """Remove each of `times` once from the failures of a row."""
    failures = list(row.failures)
    for time in times:
        if time in failures:
            failures.remove(time)
    this = Lockout.id == row.id
    if failures:
        failed_at = datetime.fromtimestamp(failures[-1], UTC)
        connection.execute(update(Lockout).where(this).values(failures=failures, failed_at=failed_at))
    else:
        connection.execute(delete(Lockout).where(this))
