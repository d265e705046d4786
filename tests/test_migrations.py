"""What `flask db upgrade` makes of a database."""

from __future__ import annotations

from flask_migrate import check, downgrade, upgrade
from sqlalchemy import inspect, text

from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import MessageLog

TABLES = set(MessageLog.metadata.tables)
SEARCH_TABLES = {"message_search", "follower_search"}


def test_upgrade_makes_the_tables_of_the_models_and_downgrade_removes_them(
    make_app: MakeApp, any_database: str
) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        found = {name for name in inspect(db.engine).get_table_names() if "_search_" not in name}
        assert found == {*TABLES, *SEARCH_TABLES, "alembic_version"}
        check()  # ends the process when models and tables differ
        downgrade(revision="base")
        assert inspect(db.engine).get_table_names() == ["alembic_version"]
        upgrade()


def test_openids_that_differ_in_case_are_different_followers(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    with app.app_context(), db.engine.begin() as connection:
        insert = text("INSERT INTO accounts (id, app_id, created_at) VALUES (:id, :name, '2026-01-01')")
        connection.execute(insert, [{"id": 1, "name": "a"}, {"id": 2, "name": "A"}])
        assert connection.scalar(text("SELECT count(*) FROM accounts WHERE app_id = 'a'")) == 1


def test_the_tables_of_mariadb_take_every_character(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name in {"mysql", "mariadb"}:
            charsets = connection.scalars(
                text(
                    "SELECT DISTINCT character_set_name FROM information_schema.columns"
                    " WHERE table_schema = DATABASE() AND character_set_name IS NOT NULL"
                    " AND table_name IN :tables"
                ).bindparams(tables=tuple(TABLES))
            )
            assert set(charsets) == {"utf8mb4"}
