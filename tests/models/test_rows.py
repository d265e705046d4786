"""Rows start from the defaults of the models."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import JSON, Connection, Integer, String, create_engine, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from wechat_bot.models import BotSession, Follower, MessageLog
from wechat_bot.models.rows import insert_columns, new_row

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Base(DeclarativeBase):
    """Tables of this module alone."""


class Shop(Base):
    __tablename__ = "shops"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(8))
    city: Mapped[str] = mapped_column(String(8), default="Lijiang")
    tags: Mapped[list[Any]] = mapped_column(JSON, default=list)
    note: Mapped[str | None]


def shop(**values: Any) -> dict[str, Any]:
    return new_row(Shop, **values)  # type: ignore[arg-type]


@pytest.fixture
def connection() -> Any:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_column_with_a_default_needs_no_second_place(connection: Connection) -> None:
    connection.execute(insert(Shop), [shop(name="tea")])
    row = connection.execute(select(Shop.id, Shop.name, Shop.city, Shop.tags, Shop.note)).one()
    assert row == (1, "tea", "Lijiang", [], None)


def test_rows_share_no_default() -> None:
    one, other = shop(name="tea"), shop(name="cake")
    one["tags"].append("open")
    assert other["tags"] == []


@pytest.mark.parametrize("values", [{}, {"name": "tea", "street": "Plane Tree Road"}])
def test_missing_and_unknown_columns_are_errors(values: dict[str, str]) -> None:
    with pytest.raises(TypeError, match=r"Shop: .*(name|street)"):
        shop(**values)


def test_a_row_of_a_follower_has_every_column_but_the_id() -> None:
    row = new_row(Follower, account_id=1, openid="o1", first_seen_at=NOW, last_seen_at=NOW)
    assert set(row) == {column.key for column in Follower.__table__.columns} - {"id"}
    assert (row["subscribed"], row["follow_count"], row["scene"], row["status_at"]) == (True, 0, "", None)
    assert new_row(BotSession, follower_id=1)["session"] == {}
    assert set(insert_columns(MessageLog)) == set(MessageLog.__table__.columns.keys()) - {"id"}
