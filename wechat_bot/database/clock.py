"""The time by the clock of the database, which all hosts share. Their own clocks may differ by minutes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine, event

log = logging.getLogger(__name__)

MAX_ERROR = timedelta(seconds=1)
"""How far the clock of a host may be off and still count as right."""
_STATEMENTS = {
    "psycopg": "SELECT extract(epoch FROM clock_timestamp())",
    "pymysql": "SELECT unix_timestamp(now(6))",
}
"""The statements that read the clock of a database server, by the module of the driver."""


class HostClock:
    """The clock of this host, corrected by that of the database. `read` is replaced in tests."""

    def __init__(self, read: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._read = read
        self._correction = timedelta()

    def now(self) -> datetime:
        return self._read() + self._correction

    def compare(self, ask: Callable[[], datetime]) -> None:
        """Correct this clock by what `ask` returns, the time of the database, unless it is right."""
        before, shown, after = self._read(), ask(), self._read()
        correction = shown - min(max(shown, before), after)
        if abs(correction) < MAX_ERROR:
            correction = timedelta()
        if abs(correction - self._correction) > MAX_ERROR:
            log.warning("this host's clock is %+.0f s off the database's", -correction.total_seconds())
        self._correction = correction

    def on_connect(self, connection: Any, _: object) -> None:
        """Compare the clocks over a new connection, unless the database is a file of this host."""
        if statement := _STATEMENTS.get(type(connection).__module__.partition(".")[0]):
            self.compare(partial(_read_time, connection, statement))


def _read_time(connection: Any, statement: str) -> datetime:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        [seconds] = cursor.fetchone()
    connection.rollback()
    return datetime.fromtimestamp(float(seconds), UTC)


_clock = HostClock()
event.listen(Engine, "connect", _clock.on_connect)


def database_now() -> datetime:
    """Return the time. It costs no statement: the clocks are compared when a connection is opened."""
    return _clock.now()
