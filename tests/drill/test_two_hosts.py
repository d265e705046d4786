"""Faults of two hosts, one with a wrong clock, and of their servers: nginx, PostgreSQL and Redis.

The whole drill is `benchmarks/run drill`. How many pushes are acknowledged depends on how busy
the machine is, since the platform waits for five seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, func, select

from benchmarks.drill import drill
from benchmarks.drill.faults import FAST_CLOCK, FAULTS
from benchmarks.drill.sites import Site, on_postgresql
from benchmarks.tools import Missing
from tests.needs import lacking
from wechat_bot.models import HandlerProcess, MessageLog, Worker

MESSAGES = 150
PER_SECOND = 50
CHOSEN = ("Redis frozen, 6 s", "database read-only, 6 s", "a host cut off for ever")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    try:
        with on_postgresql(with_redis=True, fast_clock=FAST_CLOCK) as site:
            yield site
    except Missing as error:
        lacking(str(error))


@pytest.mark.parametrize("name", CHOSEN)
def test_every_acknowledged_message_is_stored_once_and_answered(site: Site, name: str) -> None:
    [(number, fault)] = [(n, fault) for n, fault in enumerate(FAULTS) if fault.name == name]
    if not fault.applies(site):
        lacking(f"{name}: run as root")
    counts = drill(site, fault, range(number * MESSAGES, (number + 1) * MESSAGES), PER_SECOND)
    assert counts.acknowledged, "the platform reaches the program"
    assert (counts.lost, counts.doubled) == (0, 0)
    assert counts.answered >= counts.acknowledged


def test_the_host_with_the_wrong_clock_stores_the_right_time(site: Site) -> None:
    engine = create_engine(site.database_url)
    with engine.connect() as connection:
        seen = connection.scalars(select(Worker.seen_at).union(select(HandlerProcess.seen_at))).all()
        received = connection.scalars(select(func.max(MessageLog.received_at))).one()
    engine.dispose()
    assert len(seen) >= 2
    assert max(*seen, received) < datetime.now(UTC) + timedelta(seconds=FAST_CLOCK / 2)
