"""The condition that rows are of followers with a tag."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.orm import InstrumentedAttribute

from ...models import FollowerTag

FEW = 500
"""Followers with a tag up to whom their rows are looked up. Of more, a list meets some soon."""


def are_few(connection: Connection, tag_id: int) -> bool:
    """Whether so few followers have a tag that their rows are to be looked up."""
    counted = select(FollowerTag.follower_id).where(FollowerTag.tag_id == tag_id).limit(FEW + 1).subquery()
    return connection.scalars(select(func.count()).select_from(counted)).one() <= FEW


def is_tagged(
    follower_id: InstrumentedAttribute[int] | InstrumentedAttribute[int | None], tag_id: int, few: bool
) -> ColumnElement[bool]:
    """Return the condition that the follower in a column has a tag, which `few` have.

    If many have it, no database should begin with these: MariaDB and SQLite would sort all their rows. None
    can with a comparison of a scalar.
    """
    if few:
        return follower_id.in_(select(FollowerTag.follower_id).where(FollowerTag.tag_id == tag_id))
    this = FollowerTag.follower_id == follower_id, FollowerTag.tag_id == tag_id
    return select(FollowerTag.tag_id).where(*this).scalar_subquery() == tag_id
