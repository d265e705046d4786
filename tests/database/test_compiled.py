"""Statements that are compiled once."""

from __future__ import annotations

from sqlalchemy import Integer, bindparam, create_engine, select

from wechat_bot.database.compiled import Connections, compile_select

PLANS = "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE name LIKE 'wechat_bot_%'"


def test_postgresql_plans_a_statement_again_as_tables_grow(postgresql_database: str) -> None:
    engine = create_engine(postgresql_database)
    statement = compile_select(select(bindparam("number", type_=Integer)), engine.dialect)
    connections, plans = Connections(engine, limit=1), []
    with connections.borrow() as cursor:
        for number in range(9):
            assert statement.fetch_one(cursor, {"number": number}) == [number]
            [planned] = cursor.execute(PLANS).fetchone()
            plans.append(planned)
    connections.close()
    assert plans == [1, 1, 1, 2, 1, 2, 3, 4, 1]  # it was prepared at 0, 1, 2, 4 and 8 executions
