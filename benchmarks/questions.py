"""``questions``: how long the worker groups questions that nobody answered, the more groups there are."""

from __future__ import annotations

import random
import statistics
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from flask_migrate import upgrade
from sqlalchemy import Engine, func, insert, select

from wechat_bot import create_app
from wechat_bot.extensions import db
from wechat_bot.models import Direction, Follower, MessageLog, MessageState, QuestionGroup
from wechat_bot.models.rows import new_row
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.questions.grouping import BATCH_SIZE
from wechat_bot.settings import Settings
from wechat_bot.wiring import services

from . import traffic
from .options import Options
from .report import Report, table

STEPS_BETWEEN = (0, 20, 60, 60)
"""Steps of the worker before each measurement."""
QUICK_STEPS_BETWEEN = (0, 2)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(options: Options) -> Report:
    rng = random.Random(1)
    with TemporaryDirectory() as folder:
        app = create_app(Settings(database_url=f"sqlite:///{Path(folder)}/bot.db"))
        with app.app_context():
            upgrade()
            asked = _Asked(db.engine, rng)
            rows = []
            for steps in QUICK_STEPS_BETWEEN if options.quick else STEPS_BETWEEN:
                for _ in range(steps):
                    asked.step()
                rows.append(_row(asked, options.rounds))
            db.engine.dispose()
    head = ["groups", f"median of {BATCH_SIZE} messages", "95 of 100", "memory"]
    return Report(table(head, rows))


class _Asked:
    """Messages of one follower that nobody answered."""

    def __init__(self, engine: Engine, rng: random.Random) -> None:
        self._engine, self._rng = engine, rng
        self._account_id = ensure_account(engine, "wx1")
        follower = new_row(
            Follower, account_id=self._account_id, openid="o1", first_seen_at=_NOW, last_seen_at=_NOW
        )
        with engine.begin() as connection:
            connection.execute(insert(Follower), follower)
            self._follower_id = connection.scalars(select(Follower.id)).one()

    def step(self) -> float:
        """Write as many messages as the worker processes at once; return the seconds that it takes."""
        with self._engine.begin() as connection:
            connection.execute(insert(MessageLog), [self._message() for _ in range(BATCH_SIZE)])
        services().projector.catch_up(3600)
        started = time.perf_counter()
        services().questions.catch_up(0)
        services().questions.delete_rarest(self._account_id)
        return time.perf_counter() - started

    def groups(self) -> int:
        with self._engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(QuestionGroup)) or 0

    def _message(self) -> dict[str, object]:
        return new_row(
            MessageLog,
            account_id=self._account_id,
            follower_id=self._follower_id,
            direction=Direction.IN,
            kind="text",
            text=traffic.text(self._rng),
            payload={},
            created_at=_NOW,
            received_at=_NOW,
            state=MessageState.ANSWERED,
        )


def _row(asked: _Asked, rounds: int) -> list[str]:
    groups = asked.groups()
    times = sorted(asked.step() * 1e3 for _ in range(rounds))
    tracemalloc.start()
    asked.step()
    memory = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    median, slow = statistics.median(times), times[int(len(times) * 0.95)]
    return [f"{groups:,}", f"{median:.0f} ms", f"{slow:.0f} ms", f"{memory:.1f} MiB"]
