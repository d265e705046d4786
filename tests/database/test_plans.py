"""No statement of the program takes longer with every message and follower that is stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from flask import Flask
from sqlalchemy import Connection, Engine

from tests.blueprints.admin.conftest import Browser
from tests.conftest import MakeApp
from tests.database.large import COMMON_TAG, MESSAGE_COUNT, RARE_TAG, fill
from tests.database.plans import complaints, recorded
from tests.operators import add_operator
from wechat_bot.extensions import db
from wechat_bot.models import Direction, Role
from wechat_bot.services.conversations import handover
from wechat_bot.services.health import status
from wechat_bot.services.inbox import exchanges, fast_path, lookup, queue
from wechat_bot.services.inbox.recovery import recover
from wechat_bot.services.messages import export
from wechat_bot.services.messages.filters import MessageFilter
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

_DAY = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}"
PAGES = (
    "/",
    "/messages",
    f"/messages?before={MESSAGE_COUNT // 2}",
    "/messages?after=100",
    "/messages?direction=in",
    "/messages?kind=link",
    "/messages?state=failed",
    "/messages?state=answered",
    "/messages?origin=commands.show_help",
    "/messages?follower=50",
    f"/messages?tag={COMMON_TAG}",
    f"/messages?tag={RARE_TAG}",
    f"/messages?from={_DAY}&to={_DAY}",
    "/messages?q=鲸鱼",
    "/messages?q=退款",
    "/messages?q=我要退款",
    "/messages?q=鳄鱼",
    "/messages?follower=50&q=你好",
    f"/messages/arrived?after={MESSAGE_COUNT - 1}",
    "/messages/choices?whose=o05999",
    "/messages/500",
    "/conversations/50",
    "/conversations/50/messages?before=5000",
    "/conversations/50/messages?after=5000",
    f"/conversations/50?date={_DAY}",
    "/conversations/rows?row=40.x&row=80.x",
    "/conversations/count",
    *(f"/conversations?tab={tab}" for tab in ("all", "waiting", "done", "starred", "mentions")),
    *(
        f"/conversations?tab={tab}&sort={sort}"
        for tab in ("open", "unassigned", "mine")
        for sort in ("waiting", "closing", "newest")
    ),
    "/conversations?tab=all&q=o05999",
    f"/conversations?tab=all&tag={COMMON_TAG}",
    "/followers",
    "/followers?before=5000:2099-01-01T00:00:00.000000Z",
    *(f"/followers?sort={sort}" for sort in ("new", "messages", "name")),
    *(f"/followers?spoken={when}" for when in ("day", "week", "month", "never")),
    *(f"/followers?state={state}" for state in ("following", "left")),
    "/followers?source=ADD_SCENE_QR_CODE",
    "/followers?scene=shop",
    f"/followers?tag={RARE_TAG}",
    f"/followers?tag={COMMON_TAG}",
    "/followers?q=o05999",
    "/followers/50",
    "/health",
    "/questions",
)
"""Pages of the console, below ``/admin``."""

ALLOWED = {
    r" AS known, .* AS cut, ": "the numbers beside the filters of messages count 10,000 of them at most",
    r" AS state_following, ": "so do those of followers",
    r"^WITH near AS ": "PostgreSQL looks through the newest 10,000 messages before it asks the index",
    r"MATCH \(message_search": "MariaDB sorts all messages that its index lists (docs/decisions/0005)",
}
"""Statements that may read or sort more, and why."""

PUSH = {
    "openid": "o00050",
    "account_id": 1,
    "key": f"{99:032}",
    "page_key": f"{99:032}r",
    "reply_key": f"{99:032}r",
    "follower_id": 50,
    "keys": [f"{99:032}"],
    "since": datetime.now(UTC) - timedelta(minutes=10),
}
"""Parameters of the statements that a push executes past SQLAlchemy, or only in a race."""
OF_A_PUSH = (
    lookup._SESSION,
    lookup._NEW,
    lookup._UNFINISHED,
    lookup._PAGE,
    lookup._REPLY,
    exchanges.FOLLOWER_ID,
    exchanges._KNOWN,
    exchanges._LOCKED,
    fast_path._OVERTAKEN,
)


def use_cases(app: Flask, browser: Browser) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what the program does, by name."""
    bot, now = services(app), datetime.now(UTC)
    engine, account_id = bot.engine, bot.account_id

    def read(function: Callable[..., object], *arguments: object) -> Callable[[], object]:
        def run() -> None:
            with engine.connect() as connection:
                function(connection, *arguments)

        return run

    def push() -> None:
        platform = FakePlatform.of(app)
        platform.follower("o00050").text("退款")
        platform.follower("o00051").unfollow()
        platform.follower("oNew").follow()

    for statement in OF_A_PUSH:
        yield f"push: {statement}", read(Connection.execute, statement, PUSH)
    yield "pushes", push
    yield "queue: oldest", read(queue.oldest, account_id, 10)
    yield "queue: length", read(queue.length, account_id)
    yield "queue: owned", read(queue.owned, "a process")
    yield "queue: finished", read(queue.finished, [PUSH["key"]])
    yield "queue: heartbeats", read(queue.heartbeats)
    yield "queue: requeue", lambda: queue.requeue(engine, ["a process"], [str(PUSH["key"])])
    yield "worker: recover", lambda: recover(engine, bot.outbox, now)
    yield "worker: project", lambda: bot.projector.catch_up(0)
    yield "worker: questions", lambda: bot.questions.catch_up(0)
    yield "worker: downloads", bot.archive.download_due
    yield "worker: handovers", lambda: handover.end_expired(engine, account_id, now)
    yield "worker: alerts", lambda: bot.alerts.tell_due(account_id, now)
    yield "worker: embeddings", lambda: bot.vectorizer.catch_up(account_id, 0)
    yield "worker: synchronization", lambda: bot.write_back.send(account_id)
    yield "health: snapshot", lambda: status.snapshot(engine, account_id)
    yield "health: of all accounts", read(status.backlog, None)
    yield "health: unsent", read(status.unsent, account_id, 50)
    yield "health: files", read(status.failed_downloads, account_id, 50)
    yield "doctor", lambda: bot.doctor.diagnose(online=False)
    for path in PAGES:
        yield path, partial(_open, browser, f"/admin{path}")
    for chosen in (MessageFilter(), MessageFilter(direction=Direction.IN), MessageFilter(q="退款")):
        yield f"export of {chosen}", partial(_export, engine, account_id, chosen)


def _open(browser: Browser, path: str) -> None:
    assert browser.get(path).status_code in {200, 302}, path


def _export(engine: Engine, account_id: int, chosen: MessageFilter) -> None:
    """Read the first pieces of an export: the heading and a batch."""
    list(islice(export.stream(engine, account_id, chosen, "csv"), 2))


def test_what_a_statement_costs_does_not_grow_with_the_tables(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        engine = db.engine
    fill(engine)
    add_operator(engine, "li", Role.ADMIN)
    browser = Browser(app.test_client())
    assert browser.sign_in("li").status_code == 303
    found: dict[str, list[str]] = {}
    checked = set[str]()
    for name, run in use_cases(app, browser):
        with recorded() as sent:
            run()
        new = {str(each): each for each in sent if str(each) not in checked}
        checked |= new.keys()
        with engine.connect() as connection:
            for each in new.values():
                if not any(re.search(pattern, each[0], re.DOTALL) for pattern in ALLOWED):
                    found.setdefault(name, []).extend(complaints(connection, each))
    assert {name: what for name, what in found.items() if what} == {}
