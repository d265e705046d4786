"""Saved views: filters of the list of conversations that operators keep under a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, func, insert, or_, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import SavedView
from .. import audit
from ..accounts import lock_account
from ..audit import Actor
from .filters import ConversationFilter

MAX_NAME = 64
MAX_VIEWS = 50
"""Upper limit of the views that an operator can choose, with the shared ones."""


class InvalidSavedView(Exception):
    """The name is missing or taken, or the query selects nothing that there is."""


class TooManyViews(Exception):
    """There are `MAX_VIEWS` views."""


def parse_query(query: str) -> ConversationFilter | None:
    """Return the filter of a query string; None if it is invalid, because the fields were others once."""
    try:
        return ConversationFilter.parse(dict(parse_qsl(query)))
    except ValueError:
        return None


def saved_views(connection: Connection, account_id: int, operator_id: int) -> Sequence[Row[Any]]:
    """Return the shared views and the operator's own, by name."""
    found = select(SavedView.__table__).where(*usable(account_id, operator_id))
    return connection.execute(found.order_by(SavedView.name, SavedView.id)).all()


def usable(account_id: int, operator_id: int | None) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions for the shared views and the operator's own."""
    own_or_shared = or_(SavedView.operator_id.is_(None), SavedView.operator_id == operator_id)
    return SavedView.account_id == account_id, own_or_shared


@retry_conflicts
def save(
    engine: Engine, actor: Actor, account_id: int, name: str, query: str, *, shared: bool = False
) -> None:
    """Keep a filter, given as a query string, under a name: for the operator, or for everybody if `shared`.

    :raises InvalidSavedView: when the query is invalid, or the name is missing or taken.
    :raises TooManyViews: when there are too many.
    """
    chosen = parse_query(query)
    if chosen is None:
        raise InvalidSavedView
    with transaction(engine) as connection:
        name = _free_name(connection, actor, account_id, name)
        known = select(func.count()).select_from(SavedView).where(*usable(account_id, actor.operator_id))
        if connection.scalars(known).one() >= MAX_VIEWS:
            raise TooManyViews
        owner, kept = None if shared else actor.operator_id, chosen.to_query()
        values = {"account_id": account_id, "operator_id": owner, "name": name, "query": kept}
        added = connection.execute(insert(SavedView).values(values))
        [view_id] = added.inserted_primary_key or (0,)
        audit.record(connection, actor, "view_saved", f"view:{view_id}", after=name, detail=kept)


@retry_conflicts
def rename(engine: Engine, actor: Actor, account_id: int, view_id: int, name: str) -> None:
    """Give a view, shared or the operator's own, another name.

    :raises InvalidSavedView: when the name is missing or taken.
    """
    with transaction(engine) as connection:
        before = _name(connection, actor, account_id, view_id)
        if before is None or before == name.strip():
            return
        name = _free_name(connection, actor, account_id, name)
        connection.execute(update(SavedView).where(SavedView.id == view_id).values(name=name))
        audit.record(connection, actor, "view_renamed", f"view:{view_id}", before=before, after=name)


@retry_conflicts
def remove(engine: Engine, actor: Actor, account_id: int, view_id: int) -> None:
    """Remove a view, shared or the operator's own."""
    with transaction(engine) as connection:
        before = _name(connection, actor, account_id, view_id)
        if before is not None:
            connection.execute(delete(SavedView).where(SavedView.id == view_id))
            audit.record(connection, actor, "view_removed", f"view:{view_id}", before=before)


def _name(connection: Connection, actor: Actor, account_id: int, view_id: int) -> str | None:
    """Return the name of a view that the operator may change; None if there is none."""
    mine = usable(account_id, actor.operator_id)
    return connection.scalar(select(SavedView.name).where(SavedView.id == view_id, *mine))


def _free_name(connection: Connection, actor: Actor, account_id: int, name: str) -> str:
    """Return the name with normalized white space, which stays free until the end of the transaction.

    :raises InvalidSavedView: when it is missing, or one of the operator's views has it.
    """
    name = " ".join(name.replace("\x00", "").split())[:MAX_NAME]
    lock_account(connection, account_id)  # a unique key cannot compare shared views with an operator's own
    same = select(SavedView.id).where(SavedView.name == name, *usable(account_id, actor.operator_id))
    if not name or connection.scalar(same.limit(1)) is not None:
        raise InvalidSavedView
    return name
