"""Pages and services have connections of their own, so that none waits for one that another page holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import func, insert, select

from tests.conftest import MakeApp
from wechat_bot.database.clock import database_now
from wechat_bot.database.transactions import transaction
from wechat_bot.extensions import db
from wechat_bot.models import Account, Follower
from wechat_bot.wiring import services

PAGES = 4


def test_pages_that_hold_all_connections_can_still_write(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database, database_connections=PAGES)
    everyone_reads = Barrier(PAGES)

    def page(number: int) -> None:
        with app.app_context():
            db.session.scalars(select(Follower.id).limit(1)).all()
            everyone_reads.wait(timeout=10)
            with transaction(services().engine) as connection:
                connection.execute(insert(Account).values(app_id=f"wx{number}", created_at=database_now()))

    with ThreadPoolExecutor(PAGES) as pages:
        list(pages.map(page, range(PAGES)))
    with services(app).engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Account)) == PAGES
