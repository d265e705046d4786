"""The search index of messages and followers, kept in the database (``docs/decisions/0005``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from zlib import crc32

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import Text

from ...models import Follower, FollowerTag, Note, Tag
from ...pseudonyms import SEPARATOR, pseudonym
from .tokens import Query, tokens_of


@lru_cache(maxsize=16384)
def _number(token: str) -> int:
    """Return the number that represents `token` on PostgreSQL, which saves space. Collisions are rare."""
    return crc32(token.encode()) - (1 << 31)


_NUMBERS = postgresql.ARRAY(Integer)
_IDS = bindparam("ids", type_=postgresql.ARRAY(BigInteger))
_ARRAYS = bindparam("arrays", type_=postgresql.ARRAY(Text))


class SearchIndex:
    """Maps tokens to rows: by FTS5 on SQLite, GIN on PostgreSQL, FULLTEXT on MariaDB and MySQL."""

    def __init__(self, name: str, key: str) -> None:
        self._name = name
        sqlite = table(name, column("rowid", BigInteger), column("tokens", Text))
        array = table(name, column(key, BigInteger), column("tokens", _NUMBERS))
        words = table(name, column(key, BigInteger), column("tokens", Text))
        self._tables = defaultdict(lambda: words, sqlite=sqlite, postgresql=array)

    def put(self, connection: Connection, tokens: Mapping[int, Collection[str]]) -> None:
        """Add rows that are not in the index, by id. MariaDB ignores rows that it has already."""
        if not tokens:
            return
        dialect = connection.dialect.name
        into, key = self._tables[dialect], self.id_column(dialect).name
        if dialect == "postgresql":  # a third of the time of one statement for each row
            rows = select(func.unnest(_IDS), cast(func.unnest(_ARRAYS), _NUMBERS))
            numbers = (map(str, map(_number, of_row)) for of_row in tokens.values())
            values: Any = {"ids": list(tokens), "arrays": ["{" + ",".join(row) + "}" for row in numbers]}
            connection.execute(insert(into).from_select([key, "tokens"], rows), values)
        else:
            values = [{key: row_id, "tokens": " ".join(of_row)} for row_id, of_row in tokens.items()]
            connection.execute(insert(into).prefix_with("IGNORE", dialect="mysql"), values)

    def remove(self, connection: Connection, ids: Collection[int]) -> None:
        """Remove rows; ids that are not in the index are ignored. Messages take `withdraw`."""
        dialect = connection.dialect.name
        connection.execute(delete(self._tables[dialect]).where(self.id_column(dialect).in_(ids)))

    def withdraw(self, connection: Connection, tokens: Mapping[int, Collection[str]]) -> None:
        """Remove rows that are in the index, by id, with the tokens of each.

        On SQLite, where the index of messages has no other copy of its tokens, it finds the rows by these.
        """
        if connection.dialect.name != "sqlite":
            self.remove(connection, tokens)
            return
        command = table(self._name, column(self._name), column("rowid"), column("tokens"))
        rows = [{"rowid": row_id, "tokens": " ".join(of_row)} for row_id, of_row in tokens.items()]
        if rows:
            connection.execute(insert(command).values({self._name: "delete"}), rows)

    def clear(self, connection: Connection) -> None:
        """Remove all rows in one statement."""
        if connection.dialect.name == "sqlite":
            command = table(self._name, column(self._name))
            connection.execute(insert(command).values({self._name: "delete-all"}))
        else:
            connection.exec_driver_sql(f"TRUNCATE TABLE {self._name}")

    def id_column(self, dialect: str) -> ColumnClause[int]:
        """Return the column with the ids of the rows."""
        return self._tables[dialect].columns[0]

    def contains(self, dialect: str, *groups: Collection[str]) -> ColumnElement[bool]:
        """Return the condition that a row has at least one token of each of `groups`."""
        tokens = self._tables[dialect].c.tokens
        if dialect == "sqlite":
            wanted = " AND ".join(f"({' OR '.join(group)})" for group in groups)
            return literal_column(self._name).op("MATCH", is_comparison=True)(wanted)
        if dialect == "postgresql":
            numbers = [[_number(token) for token in group] for group in groups]
            all_of = [group[0] for group in numbers if len(group) == 1]
            any_of = [tokens.overlap(group) for group in numbers if len(group) > 1]
            return and_(*any_of, tokens.contains(all_of)) if all_of else and_(*any_of)
        wanted = " ".join(f"+({' '.join(group)})" for group in groups)
        return mysql.match(tokens, against=wanted).in_boolean_mode()

    def matching_ids(self, query: Query, dialect: str) -> Select[int]:
        """Select the ids of rows with the tokens of `query`: all matches, and possibly some others."""
        contains = self.contains(dialect, *({token} for token in query.tokens))
        return select(self.id_column(dialect)).where(contains)


MESSAGES = SearchIndex("message_search", "message_id")
FOLLOWERS = SearchIndex("follower_search", "follower_id")


def refresh_followers(connection: Connection, ids: Collection[int]) -> None:
    """Index the current name, scene, openid, tags and notes of followers."""
    if not ids:
        return
    known = select(Follower.id, Follower.alias, Follower.openid, Follower.scene).where(Follower.id.in_(ids))
    tags = select(FollowerTag.follower_id, Tag.name).join(Tag, Tag.id == FollowerTag.tag_id)
    notes = select(Note.follower_id, Note.text).where(Note.follower_id.in_(ids))
    texts: dict[int, list[str]] = {
        row.id: [_name(row.alias, row.openid), row.openid, row.scene] for row in connection.execute(known)
    }
    for statement in (tags.where(FollowerTag.follower_id.in_(ids)), notes):
        for follower_id, word in connection.execute(statement):
            texts[follower_id].append(word)
    tokens = {follower_id: tokens_of("\n".join(words)) for follower_id, words in texts.items()}
    FOLLOWERS.remove(connection, ids)
    FOLLOWERS.put(connection, tokens)


def _name(alias: str, openid: str) -> str:
    """Return the name that operators see. A pseudonym is also found without its dot."""
    shown = pseudonym(openid)
    return alias or f"{shown} {shown.replace(SEPARATOR, '')}"
