"""Publishes menus, and reads the one that followers see (``wechat-platform.md`` section 7.3)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import Engine, or_, select, update

from ...database.clock import database_now
from ...database.transactions import write
from ...models import MenuState, MenuVersion
from ...routing import Context, Router
from ...wechat.api import WeChatClient
from ...wechat.api.menu import Button, Buttons
from ...wechat.errors import APIError, Forbidden, NotFound, WeChatError
from ...wechat.parsing import parse
from ..accounts.capabilities import Capabilities, Feature
from ..audit import Actor
from ..decisions import Decision
from . import conditional, decisions, versions
from .arrangement import WantedMenu, plan
from .audiences import Audience
from .buttons import BrokenMenu, Menu, cleaned, dump, load, published
from .comparison import differences

log = logging.getLogger(__name__)

CLAIM = timedelta(minutes=1)
"""How long a process has a version for itself; as long pass between two attempts."""
LOOK_TIME = timedelta(minutes=1)
"""For how long pages show the menu that was read, so that not every step of an editor is a call."""
UNKNOWN_MENUID = 65301
"""The errcode of a conditional menu that is not there."""


class LiveMenuChanged(Exception):
    """Followers see another menu than the one that the operator was shown."""


@dataclass(frozen=True)
class LiveMenu:
    """The menu that followers see."""

    menu: Menu
    is_open: bool
    menuid: str = ""
    """Empty for a menu that was made in the platform's console."""
    conditional: tuple[Buttons, ...] = ()
    """The conditional menus beside it, the oldest first."""

    def shown(self, menuid: str | None) -> Buttons:
        """Return the conditional menu with this id, or without buttons if there is none.

        None stands for the default menu.
        """
        if menuid is None:
            return Buttons(self.menu, self.menuid)
        return next((each for each in self.conditional if each.menuid == menuid), Buttons(()))

    def fingerprint(self, menuid: str | None = None) -> str:
        """Name the content of a menu, so that what an operator has seen is what is replaced."""
        shown = self.shown(menuid)
        content = f"{dump(cleaned(shown.button))}{sorted(Audience.of(shown.matchrule).matchrule.items())}"
        return blake2b(content.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Look:
    """The result of reading the live menu: `live`, or the `error`, or neither without an API."""

    at: datetime
    live: LiveMenu | None = None
    error: APIError | None = None


@dataclass(eq=False)
class Menus:
    """The live menu of one account, and the way there. `client` is None when there is no API."""

    engine: Engine
    client: WeChatClient | None
    capabilities: Capabilities
    router: Router
    _looks: dict[int, Look] = field(default_factory=dict)

    def look(self, account_id: int, *, since: datetime | None = None, again: bool = False) -> Look:
        """Return the live menu as this process read it within `LOOK_TIME`, but not before `since`.

        With `again` it is read now in any case.
        """
        now = database_now()
        oldest = max(since, now - LOOK_TIME) if since else now - LOOK_TIME
        known = self._looks.get(account_id)
        if known and not again and known.at > oldest:
            return known
        self._looks[account_id] = self._look(account_id, now)
        return self._looks[account_id]

    def _look(self, account_id: int, now: datetime) -> Look:
        if self.client is None:
            return Look(now)
        try:
            return Look(now, self._read(self.client, account_id))
        except APIError as error:
            return Look(now, error=error)

    def _read(self, client: WeChatClient, account_id: int) -> LiveMenu:
        """Read the menu: what the API made, or else what the platform's console made.

        :raises APIError: if the platform does not tell.
        """
        shown = client.menu.current()
        live = LiveMenu(shown.button, shown.is_menu_open)
        if not self.capabilities.allows(account_id, Feature.MENU):
            return live
        try:
            made = client.menu.get()
        except NotFound:
            return live
        except Forbidden:
            self.capabilities.record_response(account_id, Feature.MENU, allowed=False)
            return live
        by_age = _by_age(made.conditionalmenu)
        return replace(live, menu=made.menu.button, menuid=made.menu.menuid, conditional=by_age)

    def publish_now(
        self, actor: Actor, account_id: int, seen: str, fingerprint: str, menu_id: int | None = None
    ) -> Any:
        """Publish the draft and return its row. If the platform is away, the worker tries it again.

        :raises Conflict: if the draft is another one than `seen` by now.
        :raises LiveMenuChanged: if followers see another menu than the one with `fingerprint`, which
            may be empty.
        :raises NotPublishable: if the platform would refuse it.
        """
        look = self.look(account_id, again=True)
        menuid = self._menuid(account_id, menu_id)
        if fingerprint and look.live and look.live.fingerprint(menuid) != fingerprint:
            raise LiveMenuChanged
        row_id = versions.schedule(self.engine, actor, account_id, seen, database_now(), menu_id)
        self.publish(row_id)
        return self._row(row_id)

    def publish_due(self, account_id: int, now: datetime) -> None:
        """Publish the scheduled versions whose time has come, the oldest first."""
        due = select(MenuVersion.id).where(
            MenuVersion.account_id == account_id,
            MenuVersion.state == MenuState.SCHEDULED,
            MenuVersion.publish_at <= now,
            or_(MenuVersion.claimed_until.is_(None), MenuVersion.claimed_until <= now),
        )
        with self.engine.connect() as connection:
            ids = connection.scalars(due.order_by(MenuVersion.publish_at, MenuVersion.id)).all()
        for row_id in ids:
            self.publish(row_id)

    def publish(self, row_id: int) -> None:
        """Publish a scheduled version, unless another process is at it, and record what came of it."""
        row = self._claim(row_id)
        if row is None or self.client is None:
            return
        try:
            decision = self._publish(self.client, row)
        except (APIError, BrokenMenu) as error:
            decision = self._refused(row, error)
        write(
            self.engine,
            update(MenuVersion)
            .where(MenuVersion.id == row_id, MenuVersion.state == MenuState.SCHEDULED)
            .values(decision.changes),
        )

    def _claim(self, row_id: int) -> Any:
        """Return the row of a scheduled version that no other process publishes until the claim ends."""
        now = database_now()
        free = or_(MenuVersion.claimed_until.is_(None), MenuVersion.claimed_until <= now)
        claimed = update(MenuVersion).where(
            MenuVersion.id == row_id, MenuVersion.state == MenuState.SCHEDULED, free
        )
        if not write(self.engine, claimed.values(claimed_until=now + CLAIM)):
            return None
        return self._row(row_id)

    def _row(self, row_id: int) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(select(MenuVersion.__table__).where(MenuVersion.id == row_id)).one()

    def _publish(self, client: WeChatClient, row: Any) -> Decision:
        """Bring a version to the platform, read it back, and decide.

        :raises APIError: if the platform does not take it.
        :raises BrokenMenu: if it cannot be read.
        """
        menu, audience, menuid = published(load(row.buttons)), Audience(row.tag_id, row.client), None
        if row.menu_id is None:
            self._keep_live(row.account_id)
            client.menu.create(menu)
        else:
            changed = WantedMenu(row.menu_id, menu, audience)
            menuid = self._arrange(client, row.account_id, changed)[row.menu_id]
        self.capabilities.record_response(row.account_id, Feature.MENU, allowed=True)
        live = self.look(row.account_id, again=True).live
        if live is None:
            return decisions.published(menuid or "", decisions.NOT_READ_BACK, database_now())
        shown = live.shown(menuid)
        is_same = Audience.of(shown.matchrule) == audience and not differences(menu, published(shown.button))
        return decisions.published(shown.menuid, "" if is_same else decisions.DIFFERS, database_now())

    def arrange(self, account_id: int) -> None:
        """Bring the platform's conditional menus into the order in which they are here.

        :raises APIError: if the platform refuses it.
        """
        if self.client:
            self._arrange(self.client, account_id)
            self.look(account_id, again=True)

    def _arrange(
        self, client: WeChatClient, account_id: int, changed: WantedMenu | None = None
    ) -> dict[int, str]:
        """Let the platform have our conditional menus in our order, and return their ids there.

        Ids are recorded at the end. If the process ends before, the next run recognises what was added.

        :param changed: a menu that is to be published.
        :raises APIError: if the platform refuses something. What was added until then is deleted again.
        """
        with self.engine.connect() as connection:
            known = conditional.wanted(connection, account_id)
            rank = {entry.id: entry.position for entry in conditional.entries(connection, account_id)}
        shown = self._conditional(client)
        wanted = [one for one in known if any(one.is_at(each) for each in shown)]
        if changed:
            wanted = [one for one in wanted if one.menu_id != changed.menu_id] + [changed]
        wanted.sort(key=lambda one: rank.get(one.menu_id, 0), reverse=True)
        found = plan(shown, wanted, [one.menuid for one in known])
        menuids = dict(found.kept)
        try:
            for one in found.added:
                menuids[one.menu_id] = client.menu.add_conditional(one.menu, one.audience.matchrule)
        except APIError:
            for menu_id in menuids.keys() - found.kept.keys():
                with suppress(APIError):
                    client.menu.delete_conditional(menuids[menu_id])
            raise
        for menuid in found.deleted:
            self._delete_conditional(client, menuid)
        conditional.store_menuids(self.engine, account_id, menuids)
        return menuids

    def _conditional(self, client: WeChatClient) -> tuple[Buttons, ...]:
        """Return the platform's conditional menus, the oldest first.

        :raises APIError: if the platform does not tell.
        """
        try:
            return _by_age(client.menu.get().conditionalmenu)
        except NotFound:
            return ()

    def _delete_conditional(self, client: WeChatClient, menuid: str) -> None:
        try:
            client.menu.delete_conditional(menuid)
        except APIError as error:
            if error.errcode != UNKNOWN_MENUID:
                raise

    def _refused(self, row: Any, error: APIError | BrokenMenu) -> Decision:
        if isinstance(error, BrokenMenu):
            return decisions.BROKEN
        if isinstance(error, Forbidden):
            self.capabilities.record_response(row.account_id, Feature.MENU, allowed=False)
        log.warning("version %d of the menu was not published: %s", row.number, error)
        return decisions.refused(error, row.publish_at, database_now())

    def _keep_live(self, account_id: int) -> None:
        """Store the menu that is about to be replaced, if it was not made here.

        :raises APIError: if it cannot be read.
        """
        look = self.look(account_id, again=True)
        if look.error:
            raise look.error
        if look.live and look.live.menu:
            versions.keep(self.engine, versions.NOBODY, account_id, look.live.menu)

    def delete(self, actor: Actor, account_id: int) -> None:
        """Delete the menu that followers see, with all conditional menus. They are kept in their histories.

        :raises APIError: if the platform does not do so.
        """
        client = self._client()
        self._keep_live(account_id)
        client.menu.delete()
        conditional.record_deletion(self.engine, actor, account_id)
        self.look(account_id, again=True)

    def delete_conditional(self, actor: Actor, account_id: int, menu_id: int) -> None:
        """Delete a conditional menu, here and at the platform, where it may not be.

        :raises APIError: if the platform does not do so.
        :raises NoSuchMenu: if there is none.
        """
        if menuid := self._menuid(account_id, menu_id):
            self._delete_conditional(self._client(), menuid)
        conditional.remove(self.engine, actor, account_id, menu_id)
        if menuid:
            self.look(account_id, again=True)

    def try_match(self, openid: str) -> Menu:
        """Ask the platform which menu a follower sees.

        :raises APIError: if it does not tell.
        """
        return self._client().menu.try_match(openid)

    def _client(self) -> WeChatClient:
        if self.client is None:
            raise Forbidden(48001, "the account has no API")
        return self.client

    def _menuid(self, account_id: int, menu_id: int | None) -> str | None:
        """Return the platform's id of a conditional menu, which may be empty; None for the default menu.

        :raises NoSuchMenu: if there is none.
        """
        if menu_id is None:
            return None
        with self.engine.connect() as connection:
            return conditional.find(connection, account_id, menu_id).menuid

    def handler_of(self, button: Button) -> str:
        """Return the name of the handler that takes taps on a button; empty if none but a catch-all does."""
        head = {"ToUserName": "account", "FromUserName": "follower", "CreateTime": "0", "MsgType": "event"}
        event = "CLICK" if button.type == "click" else button.type
        try:
            message = parse({**head, "Event": event, "EventKey": button.key})
            route = self.router.resolve(message, Context())
        except (WeChatError, RuntimeError):  # a condition that asks the services of a real message
            return ""
        return route.name if route and not route.catch_all else ""


def _by_age(menus: Sequence[Buttons]) -> tuple[Buttons, ...]:
    """Sort the platform's menus by their ids, which grow: the oldest first."""
    return tuple(sorted(menus, key=lambda menu: (len(menu.menuid), menu.menuid)))
