"""What is done to an installation while messages are pushed to it."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial

import psycopg

from .programs import Role
from .sites import Site

Act = Callable[[Site], None]

SECONDS = 6.0
"""How long a fault lasts by default: longer than the platform waits for an answer."""
BETWEEN_KILLS = 3.0
FAST_CLOCK = 240


def nothing(site: Site) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Fault:
    """A fault: `act` is called while messages are pushed, `before` and `after` without any.

    `applies` tells whether an installation has what it concerns.
    """

    name: str
    act: Act = nothing
    before: Act = nothing
    after: Act = nothing
    applies: Callable[[Site], object] = lambda site: True


def kill_twice(site: Site, role: Role) -> None:
    site.last.kill(role)
    time.sleep(BETWEEN_KILLS)
    with suppress(ProcessLookupError):
        site.last.kill(role)


def power_off(site: Site) -> None:
    site.last.power_off()


def start_again(site: Site) -> None:
    site.last.start()


def upgrade(site: Site) -> None:
    """Replace one host after the other by the newer version, as they are told to stop."""
    for program in site.programs:
        program.stop()
        program.start(PYTHONPATH=site.newer)


def cut(site: Site, seconds: float | None) -> None:
    """Cut a host off; None: until `mend`."""
    site.last.host.cut()
    if seconds is not None:
        time.sleep(seconds)
        site.last.host.mend()


def mend(site: Site) -> None:
    site.last.host.mend()


def wrong_clock(site: Site) -> None:
    site.last.stop()
    site.last.start(FAST_CLOCK=str(FAST_CLOCK))


def right_clock(site: Site) -> None:
    site.last.stop()
    site.last.start()


def restart_database(site: Site) -> None:
    assert site.postgres
    site.postgres.restart()


def use_up_connections(site: Site) -> None:
    assert site.postgres
    with ExitStack() as stack:
        with suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(closing(psycopg.connect(site.postgres.url)))
        time.sleep(SECONDS)


def read_only(site: Site) -> None:
    assert site.postgres
    site.postgres.set("SET default_transaction_read_only = on")
    time.sleep(SECONDS)
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")


def lock(site: Site) -> None:
    """Lock the messages, so that they can be neither written nor read."""
    if site.sqlite:
        with closing(sqlite3.connect(site.sqlite, timeout=10)) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(SECONDS)
            other.rollback()
    if site.postgres:
        with psycopg.connect(site.postgres.url) as connection:
            connection.execute("LOCK TABLE message_logs IN ACCESS EXCLUSIVE MODE")
            time.sleep(SECONDS)


def fill_disk(site: Site) -> None:
    path = site.disk / "filling"
    with path.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
            file.flush()
    time.sleep(SECONDS)
    path.unlink()
    if site.postgres:
        site.postgres.start_if_ended()


def slow_down_disk(site: Site) -> None:
    site.slow_disk.touch()
    time.sleep(SECONDS)
    site.slow_disk.unlink()


def restart_redis(site: Site) -> None:
    assert site.redis
    site.redis.kill()
    time.sleep(1)
    site.redis.start()


def freeze_redis(site: Site) -> None:
    assert site.redis
    assert site.redis.process
    pid = site.redis.process.pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(SECONDS)
    os.kill(pid, signal.SIGCONT)


def _of_postgresql(site: Site) -> object:
    return site.postgres


def _of_redis(site: Site) -> object:
    return site.redis


def _can_cut(site: Site) -> object:
    return site.can_cut


FAULTS = (
    Fault("nothing"),
    *(Fault(f"kill -9, {role}, twice", partial(kill_twice, role=role)) for role in Role),
    Fault("a host powered off", power_off, after=start_again, applies=_of_postgresql),
    Fault("database restarted", restart_database, applies=_of_postgresql),
    Fault("database read-only, 6 s", read_only, applies=_of_postgresql),
    Fault("connections used up, 6 s", use_up_connections, applies=_of_postgresql),
    Fault("messages locked, 6 s", lock),
    Fault("disk full, 6 s", fill_disk, applies=lambda site: site.disk_is_small),
    Fault("disk slow, 100 ms more, 6 s", slow_down_disk),
    Fault("Redis restarted", restart_redis, applies=_of_redis),
    Fault("Redis frozen, 6 s", freeze_redis, applies=_of_redis),
    Fault("a host cut off, 5 s", partial(cut, seconds=5), applies=_can_cut),
    Fault("a host cut off, 30 s", partial(cut, seconds=30), applies=_can_cut),
    Fault("a host cut off for ever", partial(cut, seconds=None), after=mend, applies=_can_cut),
    Fault("the clock of a host 240 s fast", before=wrong_clock, after=right_clock, applies=_of_postgresql),
    Fault("rolling upgrade", upgrade),
)
"""In this order, as the last one cannot be undone."""


def of(site: Site) -> Iterator[Fault]:
    return (fault for fault in FAULTS if fault.applies(site))
