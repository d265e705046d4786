"""What `flask db upgrade` makes of a database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import JSON, MetaData, Table, func, insert, inspect, select, text, update
from sqlalchemy.types import TypeDecorator, TypeEngine

from tests.conftest import MakeApp
from tests.operators import add_operator
from tests.services.messages.journal import CATCH_ALL, NOON, Journal
from wechat_bot.database.transactions import transaction, write
from wechat_bot.extensions import db
from wechat_bot.models import (
    BotSession,
    Conversation,
    ConversationStatus,
    FollowerSync,
    HourIndex,
    MessageLog,
    Operator,
    PendingUpdate,
    Role,
    RuleSetVersion,
    UpdateKind,
)
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import actions, canned_replies
from wechat_bot.services.search.index import FOLLOWERS
from wechat_bot.services.search.tokens import Query
from wechat_bot.wiring import services

TABLES = set(MessageLog.metadata.tables)
SEARCH_TABLES = {"message_search", "follower_search"}


def test_the_schema_goes_down_and_up_and_every_row_stays(make_app: MakeApp, any_database: str) -> None:
    """Upgrades make the tables of the models and downgrades remove them, with a row in each table."""
    app = make_app(database_url=any_database)
    with app.app_context():
        names = {name for name in inspect(db.engine).get_table_names() if "_search_" not in name}
        assert names == {*TABLES, *SEARCH_TABLES, "alembic_version"}
        check()  # ends the process when models and tables differ
        _fill(MessageLog.metadata.sorted_tables)
        before = _counts(TABLES)
        assert all(before.values())
        for revision in ("0016", "0003", "base"):
            downgrade(revision=revision)
            before = _compared(before, revision)
        assert inspect(db.engine).get_table_names() == ["alembic_version"]
        before = {}
        for revision in ("0003", "0016", "head"):  # later steps create anew what these have made
            upgrade(revision=revision)
            _compared(before, revision)
            found = MetaData()
            found.reflect(db.engine, only=lambda name, _: "_search" not in name)
            _fill(found.sorted_tables)
            before = _counts(found.tables)
        db.engine.dispose()


CHANGED = {
    # There are no versions of conditional menus, no deleted replies, and no position of the questions.
    "0016": {"menu_versions", "canned_replies", "progress", "lockouts"},
    "0003": {"lockouts"},  # counts failures in another way
    "head": {"progress"},
}
"""The tables whose rows change in number on the way to a revision."""


def _fill(tables: Iterable[Table]) -> None:
    """Insert a row into each table that has none. All numbers in them are 1, the ids, too."""
    with db.engine.execution_options(writes=True).begin() as connection:
        for table in tables:
            if not connection.scalar(select(func.count()).select_from(table)):
                connection.execute(
                    insert(table), {column.name: _value(column.type) for column in table.columns}
                )


def _value(kind: TypeEngine[Any]) -> Any:
    plain = kind.impl_instance if isinstance(kind, TypeDecorator) else kind
    if isinstance(plain, JSON):
        return {"kind": "text", "text": "1"}  # an answer, which one migration writes as text
    values = {bool: True, int: 1, float: 0.1, str: "1", bytes: b"\x00", datetime: NOON, date: NOON.date()}
    return values.get(plain.python_type, 1)


def _counts(tables: Iterable[str]) -> dict[str, int]:
    """Count the rows of those of the tables that there are, in one statement."""
    names = sorted({*inspect(db.engine).get_table_names()}.intersection(tables))
    counted = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in names)
    with db.engine.connect() as connection:
        return dict(connection.execute(text(counted)).all()) if names else {}


def _compared(before: dict[str, int], revision: str) -> dict[str, int]:
    """Return the numbers of rows after a step: as before it, in the tables that there are still."""
    after = _counts(before)
    kept = after.keys() - CHANGED.get(revision, set())
    assert {name: before[name] for name in kept} == {name: after[name] for name in kept}, revision
    return after


def test_a_migration_that_would_leave_rows_without_what_they_refer_to_changes_nothing(
    make_app: MakeApp, capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app()
    with app.app_context():
        with db.engine.execution_options(writes=True).connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
            connection.execute(insert(RuleSetVersion).values(account_id=7, version=1))
            connection.commit()
            connection.invalidate()
        before = inspect(db.engine).get_table_names()
        with pytest.raises(SystemExit):
            downgrade(revision="0026")
        assert "rows of rule_sets refer to rows that are not there" in capsys.readouterr().out
        assert inspect(db.engine).get_table_names() == before
        with db.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


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


NOW = "2026-11-01 12:00:00"
ROWS_OF_0004 = f"""
INSERT INTO accounts (id, app_id, created_at) VALUES (1, 'wx1', '{NOW}');
INSERT INTO followers (id, account_id, openid, subscribed, follow_count, scene, alias, remark, unionid,
  source, first_seen_at, last_seen_at) VALUES (7, 1, 'o7', TRUE, 1, '', '', '', '', '', '{NOW}', '{NOW}');
INSERT INTO conversations (id, follower_id, state, session, version) VALUES (3, 7, 'naming', '{{"a": 1}}', 5);
INSERT INTO threads (follower_id, last_id, last_in_id, read_id, messages_in, messages_out, status, starred)
  VALUES (7, 2, 1, 1, 1, 1, 'open', TRUE);
INSERT INTO syncs (id, account_id, state, started_by, started_at, seen_at, `cursor`, total, done, error)
  VALUES (2, 1, 'failed', 'li', '{NOW}', '{NOW}', 'o7', 9, 4, '45009 reach max api daily quota limit');
INSERT INTO writebacks (id, follower_id, what, value, created_at, attempts, error)
  VALUES (4, 7, 'remark', '小明', '{NOW}', 0, '');
INSERT INTO hours (hour, first_id) VALUES (490000, 1);
INSERT INTO message_logs (id, account_id, follower_id, direction, kind, event, text, payload, platform_id,
  created_at, received_at, state, attempts, origin, error) VALUES
  (1, 1, 7, 'in', 'text', '', '你好', '{{}}', '1', '{NOW}', '{NOW}', 'answered', 1, 'commands.hello', ''),
  (2, 1, 7, 'out', 'text', '', '在', '{{}}', '', '{NOW}', '{NOW}', 'failed', 1, 'operator:5',
   '45015 out of time'),
  (3, 1, 7, 'out', 'text', '', '在', '{{}}', '', '{NOW}', '{NOW}', 'failed', 1, 'operator:5', 'interrupted')
"""


def test_names_change_and_every_row_stays(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        downgrade(revision="0004")
        with db.engine.execution_options(writes=True).begin() as connection:
            preparer = connection.dialect.identifier_preparer
            for statement in ROWS_OF_0004.split(";\n"):
                connection.execute(text(statement.replace("`cursor`", preparer.quote("cursor"))))
        before = _rows(OLD_NAMES)
        upgrade()
        with db.engine.connect() as connection:
            session = connection.execute(
                select(BotSession.state, BotSession.session, BotSession.version)
            ).one()
            assert session == ("naming", {"a": 1}, 5)
            assert connection.scalar(select(Conversation.status)) == "open"
            assert connection.scalar(select(FollowerSync.errcode)) == 45009
            assert connection.scalar(select(PendingUpdate.kind)) == UpdateKind.REMARK
            assert connection.scalar(select(HourIndex.first_id)) == 1
            found = select(MessageLog.operator_id, MessageLog.errcode).order_by(MessageLog.id)
            assert connection.execute(found).all() == [(None, None), (5, 45015), (5, None)]
        downgrade(revision="0004")
        assert _rows(OLD_NAMES) == before
        upgrade()
        db.engine.dispose()


def test_secrets_of_second_factors_are_sealed_and_opened(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    stored = text("SELECT totp_secret FROM operators ORDER BY id")
    with app.app_context():
        for name, code in (("li", secret), ("wang", "")):
            operator_id = add_operator(db.engine, name, Role.ADMIN)
            sealed = services(app).sealer.seal(code) if code else ""
            changed = update(Operator).where(Operator.id == operator_id)
            write(db.engine, changed.values(totp_secret=sealed))
        downgrade(revision="0006")
        with db.engine.connect() as connection:
            assert connection.scalars(stored).all() == [secret, ""]
        upgrade()
        with db.engine.connect() as connection:
            li, wang = connection.scalars(stored)
        assert (services(app).sealer.open(li), wang) == (secret, "")
        db.engine.dispose()


def test_followers_who_were_there_before_pseudonyms_are_found_by_them(
    make_app: MakeApp, any_database: str
) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        follower_id = Journal(db.engine).follower("oFollower1")
        downgrade(revision="0008")
        services(app).projector.catch_up()
        with transaction(db.engine) as connection:
            FOLLOWERS.remove(connection, {follower_id})  # they were not indexed by this name
        upgrade()
        services(app).projector.catch_up()
        query = FOLLOWERS.matching_ids(Query.parse("北斗"), db.engine.dialect.name)
        assert db.session.scalars(query).all() == [follower_id]
        db.session.remove()
        db.engine.dispose()


def test_conversations_that_waited_before_tell_since_which_message(
    make_app: MakeApp, any_database: str
) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        journal = Journal(db.engine)
        asking, opened = journal.follower("oAsks"), journal.follower("oIsOpenedByHand")
        journal.add("帮助", follower_id=asking, created_at=NOON - timedelta(minutes=1))
        asked = [journal.add("在吗", follower_id=asking, origin=CATCH_ALL) for _ in range(2)]
        journal.add(follower_id=opened)
        services(app).projector.catch_up()
        ids, actor = [opened], Actor(None, "tests", "")
        actions.set_status(db.engine, actor, journal.account_id, ids, ConversationStatus.OPEN)
        downgrade(revision="0009")
        upgrade()
        found = select(Conversation.waiting_id).order_by(Conversation.follower_id)
        assert db.session.scalars(found).all() == [asked[0], None]
        db.session.remove()
        db.engine.dispose()


def test_canned_replies_keep_their_answers_through_the_migration(
    make_app: MakeApp, any_database: str
) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        account_id = services(app).account_id
        add_operator(db.engine, "li", Role.OPERATOR)
        actor = Actor(1, "li", "")
        card = {"kind": "news", "articles": [{"title": "茶", "url": "https://t.example"}]}
        own = {"shortcut": "b", "title": "卡片", "own": True, "answer": card}
        text = {"shortcut": "a", "answer": {"kind": "text", "text": "三天内"}}
        for definition in (text, own):
            canned_replies.create(db.engine, actor, account_id, definition)
        gone = canned_replies.create(db.engine, actor, account_id, text | {"shortcut": "c"})
        canned_replies.delete(db.engine, actor, account_id, gone)
        downgrade(revision="0016")
        assert _rows(["canned_replies"])["canned_replies"][0]["text"] == "三天内"
        upgrade()
        with db.engine.connect() as connection:
            entries = canned_replies.at_hand(connection, account_id, 1)
            assert [entry.definition for entry in entries] == [text, own]
            versions = canned_replies.history(connection, entries[0].id)
            assert [(row.version, row.definition["answer"]) for row in versions] == [(1, text["answer"])]
        db.engine.dispose()


OLD_NAMES = ("conversations", "threads", "syncs", "writebacks", "hours", "message_logs")


def _rows(tables: Iterable[str]) -> dict[str, list[Any]]:
    with db.engine.connect() as connection:
        return {
            name: list(connection.execute(text(f"SELECT * FROM {name} ORDER BY 1")).mappings().all())
            for name in tables
        }
