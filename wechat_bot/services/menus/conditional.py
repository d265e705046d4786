"""The conditional menus of an account and their order. Each has versions of its own (`versions`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, insert, select, update

from ...database.transactions import retry_conflicts
from ...models import ConditionalMenu, MenuState, MenuVersion, Tag
from ...models.rows import new_row
from ...wechat.api.menu import Buttons
from ..accounts import locked_account
from ..audit import Actor
from . import versions
from .arrangement import WantedMenu
from .audiences import EVERYBODY, Audience
from .buttons import Menu, published
from .versions import NOBODY, Version, insert_version, outline, record


class NoSuchMenu(LookupError):
    """The account has no such conditional menu, or it is deleted."""


@dataclass(frozen=True)
class MenuEntry:
    """A conditional menu as it is stored."""

    id: int
    position: int
    menuid: str
    """Empty if followers do not see it."""
    version: Version | None
    """The draft, or else the newest version."""

    @property
    def audience(self) -> Audience:
        return self.version.audience if self.version else EVERYBODY

    @property
    def menu(self) -> Menu:
        return (self.version.menu if self.version else None) or ()


def entries(connection: Connection, account_id: int) -> list[MenuEntry]:
    """Return the conditional menus in the order in which they are asked."""
    return [_entry(connection, account_id, row) for row in connection.execute(_listed(account_id)).all()]


def find(connection: Connection, account_id: int, menu_id: int) -> MenuEntry:
    """Return a conditional menu.

    :raises NoSuchMenu: if there is none.
    """
    row = connection.execute(_listed(account_id).where(ConditionalMenu.id == menu_id)).one_or_none()
    if row is None:
        raise NoSuchMenu
    return _entry(connection, account_id, row)


def wanted(connection: Connection, account_id: int) -> list[WantedMenu]:
    """Return the menus that were published, in the order in which they are to be added."""
    found = []
    for row in connection.execute(_listed(account_id)).all():
        version = versions.newest_published(connection, account_id, row.id)
        if row.menuid and version and version.menu:
            found.append(WantedMenu(row.id, published(version.menu), version.audience, row.menuid))
    return found[::-1]


def tag_names(connection: Connection, account_id: int) -> dict[str, str]:
    """Return the names of the tags that the platform knows, by its numbers."""
    known = select(Tag.platform_id, Tag.name).where(
        Tag.account_id == account_id, Tag.platform_id.is_not(None)
    )
    return {str(number): name for number, name in connection.execute(known.order_by(Tag.name))}


@retry_conflicts
def create(engine: Engine, actor: Actor, account_id: int, menu: Menu) -> int:
    """Add a conditional menu, which is asked before the others, with a draft; return its id."""
    with locked_account(engine, account_id) as connection:
        menu_id = _insert(connection, account_id, 1)
        insert_version(connection, actor, account_id, menu, MenuState.DRAFT, menu_id, EVERYBODY)
        after = outline(menu, EVERYBODY)
        record(connection, actor, "conditional_menu_created", account_id, menu_id, after=after)
        return menu_id


@retry_conflicts
def adopt(engine: Engine, actor: Actor, account_id: int, shown: Sequence[Buttons]) -> int:
    """Add those conditional menus that were made elsewhere, and return how many there were.

    :param shown: the platform's conditional menus, the oldest first.
    """
    with locked_account(engine, account_id) as connection:
        places = {row.menuid: row.position for row in connection.execute(_listed(account_id))}
        count, position = 0, len(places) + 1
        for menu in shown:  # each is asked before all that are older
            if menu.menuid in places:
                position = places[menu.menuid]
                continue
            audience = Audience.of(menu.matchrule)
            menu_id = _insert(connection, account_id, position, menu.menuid)
            insert_version(
                connection, NOBODY, account_id, menu.button, MenuState.PUBLISHED, menu_id, audience
            )
            after = outline(menu.button, audience)
            record(connection, actor, "conditional_menu_created", account_id, menu_id, after=after)
            count += 1
        return count


@retry_conflicts
def move_up(engine: Engine, actor: Actor, account_id: int, menu_id: int) -> None:
    """Let a menu be asked before the one that was asked before it.

    :raises NoSuchMenu: if there is none.
    """
    with locked_account(engine, account_id) as connection:
        ids = [row.id for row in connection.execute(_listed(account_id))]
        if menu_id not in ids:
            raise NoSuchMenu
        place = ids.index(menu_id)
        ids.insert(max(0, place - 1), ids.pop(place))
        _number(connection, ids)
        record(connection, actor, "conditional_menu_moved", account_id, menu_id)


@retry_conflicts
def remove(engine: Engine, actor: Actor, account_id: int, menu_id: int) -> None:
    """Delete a menu that followers do not see any more; its scheduled versions are not published.

    :raises NoSuchMenu: if there is none.
    """
    with locked_account(engine, account_id) as connection:
        entry = find(connection, account_id, menu_id)
        this = ConditionalMenu.id == menu_id
        connection.execute(update(ConditionalMenu).where(this).values(position=None, menuid=""))
        waiting = MenuVersion.menu_id == menu_id, MenuVersion.state == MenuState.SCHEDULED
        connection.execute(update(MenuVersion).where(*waiting).values(state=MenuState.WITHDRAWN))
        _number(connection, [row.id for row in connection.execute(_listed(account_id))])
        before = outline(entry.menu, entry.audience)
        record(connection, actor, "conditional_menu_deleted", account_id, menu_id, before)


@retry_conflicts
def store_menuids(engine: Engine, account_id: int, menuids: Mapping[int, str]) -> None:
    """Record under which ids the platform has our menus; those that are left out, it has not."""
    with locked_account(engine, account_id) as connection:
        _store_menuids(connection, account_id, menuids)


@retry_conflicts
def record_deletion(engine: Engine, actor: Actor, account_id: int) -> None:
    """Record that all menus were deleted at the platform. Here they stay, with their history."""
    with locked_account(engine, account_id) as connection:
        _store_menuids(connection, account_id, {})
        record(connection, actor, "menu_deleted", account_id)


def _store_menuids(connection: Connection, account_id: int, menuids: Mapping[int, str]) -> None:
    for row in connection.execute(_listed(account_id)).all():
        this = ConditionalMenu.id == row.id
        connection.execute(update(ConditionalMenu).where(this).values(menuid=menuids.get(row.id, "")))


def _listed(account_id: int) -> Select[Any]:
    """Select the menus that are not deleted, in the order in which they are asked."""
    columns: list[Any] = [ConditionalMenu.id, ConditionalMenu.position, ConditionalMenu.menuid]
    kept = ConditionalMenu.account_id == account_id, ConditionalMenu.position.is_not(None)
    return select(*columns).where(*kept).order_by(ConditionalMenu.position, ConditionalMenu.id)


def _entry(connection: Connection, account_id: int, row: Any) -> MenuEntry:
    version = versions.current(connection, account_id, row.id)
    return MenuEntry(row.id, row.position, row.menuid, version)


def _insert(connection: Connection, account_id: int, position: int, menuid: str = "") -> int:
    """Insert a menu at a place, before the one that is there, and return its id."""
    ids = [row.id for row in connection.execute(_listed(account_id))]
    row = new_row(ConditionalMenu, account_id=account_id, position=position, menuid=menuid)
    menu_id = int((connection.execute(insert(ConditionalMenu).values(row)).inserted_primary_key or (0,))[0])
    _number(connection, [*ids[: position - 1], menu_id, *ids[position - 1 :]])
    return menu_id


def _number(connection: Connection, ids: Sequence[int]) -> None:
    for position, menu_id in enumerate(ids, 1):
        this = ConditionalMenu.id == menu_id
        connection.execute(update(ConditionalMenu).where(this).values(position=position))
