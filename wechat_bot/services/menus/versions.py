"""The versions of a menu: the draft that operators edit, and its history.

`menu_id` is that of a conditional menu, or None for the default menu of the account.

Every change names the version that its author saw (`Version.token`). If the draft is another one by now,
nothing is changed and `Conflict` is raised, so that nobody's work is overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import MenuState, MenuVersion
from ...models.rows import new_row
from ...wechat.api.menu import Button
from .. import audit
from ..accounts import lock_account, locked_account
from ..audit import Actor
from .audiences import EVERYBODY, Audience
from .buttons import KINDS, BrokenMenu, Menu, cleaned, dump, load, places
from .checks import is_publishable

MAX_LISTED = 50
"""Versions in the history that a page shows."""
NOBODY = Actor(None, "", "")
"""Who made the menus that were not made here."""


@dataclass(frozen=True)
class Version:
    """A version as it was read."""

    row: Any
    """Its columns."""
    menu: Menu | None
    """Its buttons; None if they cannot be read."""

    @property
    def token(self) -> str:
        """Names the version with its revision."""
        return f"{self.row.number}.{self.row.revision}"

    @property
    def audience(self) -> Audience:
        """Who sees the menu, if it is a conditional one."""
        return Audience(self.row.tag_id, self.row.client)

    @property
    def is_draft(self) -> bool:
        return bool(self.row.state == MenuState.DRAFT)


class Conflict(Exception):
    """Somebody else changed the draft meanwhile; `current` is what it is now."""

    def __init__(self, current: Version | None) -> None:
        super().__init__("the draft has changed")
        self.current = current


class NotPublishable(Exception):
    """The menu breaks a rule of the platform (`checks.findings`), or cannot be read."""


class NoSuchVersion(Exception):
    """There is no such version, or it is in another state by now."""


def current(connection: Connection, account_id: int, menu_id: int | None = None) -> Version | None:
    """Return the draft, or else the newest version that was not withdrawn: the next draft begins with it."""
    of_menu = _of(account_id, menu_id)
    row = connection.execute(of_menu.where(MenuVersion.state == MenuState.DRAFT)).first()
    if row is None:
        kept = of_menu.where(MenuVersion.state != MenuState.WITHDRAWN)
        row = connection.execute(kept.limit(1)).first()
    return _version(row) if row else None


def newest_published(connection: Connection, account_id: int, menu_id: int | None = None) -> Version | None:
    """Return the version that was published last."""
    found = _of(account_id, menu_id).where(MenuVersion.state == MenuState.PUBLISHED)
    row = connection.execute(found.limit(1)).first()
    return _version(row) if row else None


def history(connection: Connection, account_id: int, menu_id: int | None = None) -> Sequence[Version]:
    """Return the newest versions, the newest first."""
    return [_version(row) for row in connection.execute(_of(account_id, menu_id).limit(MAX_LISTED))]


def find(connection: Connection, account_id: int, number: int, menu_id: int | None = None) -> Version:
    """Return the version with a number.

    :raises NoSuchVersion: if there is none.
    """
    row = connection.execute(_of(account_id, menu_id).where(MenuVersion.number == number)).one_or_none()
    if row is None:
        raise NoSuchVersion
    return _version(row)


@retry_conflicts
def save(
    engine: Engine,
    actor: Actor,
    account_id: int,
    seen: str,
    menu: Menu,
    menu_id: int | None = None,
    audience: Audience = EVERYBODY,
) -> None:
    """Store the draft.

    :raises Conflict: if the draft is another one than `seen` by now.
    """
    with transaction(engine) as connection:
        save_draft(connection, actor, account_id, seen, menu, menu_id, audience)


def save_draft(
    connection: Connection,
    actor: Actor,
    account_id: int,
    seen: str,
    menu: Menu,
    menu_id: int | None,
    audience: Audience,
) -> None:
    """Store the draft in the transaction of another change.

    :raises Conflict: if the draft is another one than `seen` by now.
    """
    before = _locked(connection, account_id, menu_id, seen)
    if before is None or not before.is_draft or before.menu is None:
        _set_aside(connection, before)
        insert_version(connection, actor, account_id, menu, MenuState.DRAFT, menu_id, audience)
    elif (before.menu, before.audience) != (menu, audience):
        values = {**_content(menu, audience), "revision": before.row.revision + 1, **_by(actor)}
        connection.execute(update(MenuVersion).where(MenuVersion.id == before.row.id).values(values))
    else:
        return
    after = outline(menu, audience)
    record(connection, actor, "menu_saved", account_id, menu_id, _outline_of(before), after)


@retry_conflicts
def replace_draft(
    engine: Engine,
    actor: Actor,
    account_id: int,
    seen: str,
    menu: Menu,
    action: str = "menu_restored",
    menu_id: int | None = None,
    audience: Audience = EVERYBODY,
) -> None:
    """Make `menu` the draft; the one that was the draft is kept in the history.

    :raises Conflict: if the draft is another one than `seen` by now.
    """
    with transaction(engine) as connection:
        before = _locked(connection, account_id, menu_id, seen)
        _set_aside(connection, before)
        insert_version(connection, actor, account_id, menu, MenuState.DRAFT, menu_id, audience)
        record(connection, actor, action, account_id, menu_id, _outline_of(before), outline(menu, audience))


@retry_conflicts
def keep(
    engine: Engine,
    actor: Actor,
    account_id: int,
    menu: Menu,
    menu_id: int | None = None,
    audience: Audience = EVERYBODY,
) -> None:
    """Store a menu in the history, from which it can be restored, unless it is there."""
    with locked_account(engine, account_id) as connection:
        known = history(connection, account_id, menu_id)
        if all(
            each.menu is None or (cleaned(each.menu), each.audience) != (cleaned(menu), audience)
            for each in known
        ):
            insert_version(connection, actor, account_id, menu, MenuState.WITHDRAWN, menu_id, audience)


@retry_conflicts
def schedule(
    engine: Engine, actor: Actor, account_id: int, seen: str, at: datetime, menu_id: int | None = None
) -> int:
    """Let the draft, or the newest version again, be published at a time; return the id of its row.

    :raises Conflict: if the draft is another one than `seen` by now.
    :raises NotPublishable: if the platform would refuse it.
    """
    with transaction(engine) as connection:
        before = _locked(connection, account_id, menu_id, seen)
        if before is None or before.menu is None:
            raise NotPublishable
        if not is_publishable(before.menu, None if menu_id is None else before.audience):
            raise NotPublishable
        if before.is_draft:
            row_id = int(before.row.id)
        else:
            row_id = insert_version(
                connection, actor, account_id, before.menu, MenuState.DRAFT, menu_id, before.audience
            )
        values = {"state": MenuState.SCHEDULED, "publish_at": at, **_by(actor)}
        connection.execute(update(MenuVersion).where(MenuVersion.id == row_id).values(values))
        record(connection, actor, "menu_published", account_id, menu_id, {}, _outline_of(before))
        return row_id


@retry_conflicts
def cancel(engine: Engine, actor: Actor, account_id: int, number: int, menu_id: int | None = None) -> None:
    """Let a scheduled version not be published: it is the draft again, or in the history if there is another.

    :raises NoSuchVersion: if it is not scheduled any more, or is being published.
    """
    with locked_account(engine, account_id) as connection:
        version, now = find(connection, account_id, number, menu_id), database_now()
        row = version.row
        is_claimed = row.claimed_until and row.claimed_until > now and not row.error
        if row.state != MenuState.SCHEDULED or is_claimed:
            raise NoSuchVersion
        newest = current(connection, account_id, menu_id)
        state = MenuState.WITHDRAWN if newest and newest.is_draft else MenuState.DRAFT
        values = {"state": state, "publish_at": None, "claimed_until": None, "error": "", "errcode": None}
        connection.execute(update(MenuVersion).where(MenuVersion.id == row.id).values(values))
        record(connection, actor, "menu_withdrawn", account_id, menu_id, _outline_of(version), {})


def _of(account_id: int, menu_id: int | None) -> Select[Any]:
    """Select the versions of a menu, the newest first."""
    of_menu = MenuVersion.account_id == account_id, MenuVersion.menu_id == menu_id
    found = select(MenuVersion.__table__).where(*of_menu)
    return found.order_by(MenuVersion.number.desc())


def _version(row: Row[Any]) -> Version:
    try:
        return Version(row, load(row.buttons))
    except BrokenMenu:
        return Version(row, None)


def _locked(connection: Connection, account_id: int, menu_id: int | None, seen: str) -> Version | None:
    lock_account(connection, account_id)
    found = current(connection, account_id, menu_id)
    if seen != (found.token if found else ""):
        raise Conflict(found)
    return found


def _set_aside(connection: Connection, version: Version | None) -> None:
    """Move a draft to the history."""
    if version and version.is_draft:
        changed = update(MenuVersion).where(MenuVersion.id == version.row.id)
        connection.execute(changed.values(state=MenuState.WITHDRAWN))


def insert_version(
    connection: Connection,
    actor: Actor,
    account_id: int,
    menu: Menu,
    state: MenuState,
    menu_id: int | None,
    audience: Audience,
) -> int:
    """Insert a version and return the id of its row."""
    newest = select(func.max(MenuVersion.number)).where(MenuVersion.account_id == account_id)
    number = (connection.scalar(newest) or 0) + 1
    row = new_row(
        MenuVersion,
        account_id=account_id,
        menu_id=menu_id,
        number=number,
        state=state,
        **_content(menu, audience),
        **_by(actor),
    )
    return int((connection.execute(insert(MenuVersion).values(row)).inserted_primary_key or (0,))[0])


def _content(menu: Menu, audience: Audience) -> dict[str, Any]:
    return {"buttons": dump(menu), "tag_id": audience.tag_id, "client": audience.client}


def _by(actor: Actor) -> dict[str, Any]:
    return {"operator": actor.name[:64], "changed_at": database_now()}


# The audit log

Outline = dict[str, str]
"""What can be read of a menu: the name, kind and values of each button by its place, and the conditions."""


def record(
    connection: Connection,
    actor: Actor,
    action: str,
    account_id: int,
    menu_id: int | None = None,
    before: Outline | None = None,
    after: Outline | None = None,
) -> None:
    """Add an entry about a menu, with what differs, to the audit log."""
    was, is_now = before or {}, after or {}
    same = {place for place in was.keys() & is_now if was[place] == is_now[place]}
    changed = [{place: text for place, text in each.items() if place not in same} for each in (was, is_now)]
    subject = f"menu:{account_id}" if menu_id is None else f"menu:{account_id}.{menu_id}"
    audit.record(connection, actor, action, subject, before=changed[0], after=changed[1])


def outline(menu: Menu, audience: Audience) -> Outline:
    return {**audience.matchrule, **{str(place): _line(button) for place, button in places(cleaned(menu))}}


def _outline_of(version: Version | None) -> Outline:
    return outline(version.menu or (), version.audience) if version else {}


def _line(button: Button) -> str:
    values = (getattr(button, name) for name in KINDS.get(button.type, ()))
    return " ".join([button.name, button.type, *values]).strip()
