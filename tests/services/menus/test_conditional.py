"""Conditional menus, on every database: which menu a follower sees after each change."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from tests.services.menus.test_buttons import HELP, MENU, SHOP
from tests.services.menus.test_versions import LI, save
from wechat_bot.database.transactions import write
from wechat_bot.models import AuditEntry, MenuState, MenuVersion
from wechat_bot.services.menus import conditional, versions
from wechat_bot.services.menus.audiences import EVERYBODY, Audience
from wechat_bot.services.menus.buttons import Menu
from wechat_bot.services.menus.conditional import MenuEntry, NoSuchMenu
from wechat_bot.services.menus.versions import Conflict, NotPublishable
from wechat_bot.simulator.state import Published
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat.api.menu import Button
from wechat_bot.wechat.errors import APIError
from wechat_bot.wiring import Services

ADD, DELETE = "/cgi-bin/menu/addconditional", "/cgi-bin/menu/delconditional"
STARRED, ANDROID = Audience("2"), Audience("", "2")


def entries(bot: Services) -> list[MenuEntry]:
    with bot.engine.connect() as connection:
        return conditional.entries(connection, bot.account_id)


def entry(bot: Services, menu_id: int) -> MenuEntry:
    with bot.engine.connect() as connection:
        return conditional.find(connection, bot.account_id, menu_id)


def edit(bot: Services, menu_id: int, menu: Menu, audience: Audience) -> None:
    version = entry(bot, menu_id).version
    assert version
    versions.save(bot.engine, LI, bot.account_id, version.token, menu, menu_id, audience)


def publish(bot: Services, menu_id: int | None = None) -> Any:
    with bot.engine.connect() as connection:
        version = versions.current(connection, bot.account_id, menu_id)
    assert version
    return bot.menus.publish_now(LI, bot.account_id, version.token, "", menu_id)


def make(bot: Services, menu: Menu, audience: Audience) -> int:
    menu_id = conditional.create(bot.engine, LI, bot.account_id, ())
    edit(bot, menu_id, menu, audience)
    assert publish(bot, menu_id).state == MenuState.PUBLISHED
    return menu_id


@pytest.fixture
def seen(bot: Services, api: FakeAPI) -> Any:
    """Publish a default menu, and return the names of the buttons that a starred follower on Android sees."""
    save(bot)
    publish(bot)
    api.follower_acted("o1", "follow")
    with api.store.opened() as state:
        state.followers["o1"].tags = [2]
    return lambda: [button["name"] for button in api.menu_of("o1")]


def test_a_change_keeps_the_order_of_the_menus(bot: Services, api: FakeAPI, seen: Any) -> None:
    starred = make(bot, (HELP,), STARRED)
    android = make(bot, (SHOP,), ANDROID)
    assert [each.id for each in entries(bot)] == [android, starred]
    assert seen() == ["网店"]
    edit(bot, starred, MENU, STARRED)
    publish(bot, starred)
    assert seen() == ["网店"]
    conditional.move_up(bot.engine, LI, bot.account_id, starred)
    bot.menus.arrange(bot.account_id)
    assert seen() == ["帮助", "更多"]
    live = bot.menus.look(bot.account_id).live
    assert live
    assert [each.menuid for each in reversed(live.conditional)] == [each.menuid for each in entries(bot)]
    assert not live.shown("nothing").button


def test_a_draft_of_one_menu_leaves_the_others_alone(bot: Services, seen: Any) -> None:
    starred = make(bot, (HELP,), STARRED)
    stale = entry(bot, starred).version
    assert stale
    edit(bot, starred, (SHOP,), ANDROID)
    assert seen() == ["帮助"]
    with pytest.raises(Conflict):
        versions.save(bot.engine, LI, bot.account_id, stale.token, MENU, starred, STARRED)
    with bot.engine.connect() as connection:
        default = versions.current(connection, bot.account_id)
        history = versions.history(connection, bot.account_id, starred)
    assert default
    assert default.menu == MENU
    assert [(each.menu, each.audience) for each in history] == [((SHOP,), ANDROID), ((HELP,), STARRED)]


def test_a_menu_without_a_condition_is_not_published(bot: Services, api: FakeAPI, seen: Any) -> None:
    menu_id = conditional.create(bot.engine, LI, bot.account_id, MENU)
    with pytest.raises(NotPublishable):
        publish(bot, menu_id)
    assert ADD not in api.calls


def test_without_a_default_menu_the_platform_refuses(bot: Services) -> None:
    menu_id = conditional.create(bot.engine, LI, bot.account_id, MENU)
    edit(bot, menu_id, MENU, STARRED)
    row = publish(bot, menu_id)
    assert (row.state, row.errcode) == (MenuState.FAILED, 65303)


def test_a_refusal_leaves_what_followers_see(bot: Services, api: FakeAPI, seen: Any) -> None:
    starred = make(bot, (HELP,), STARRED)
    with api.store.opened() as state:
        state.published["article"] = Published("article", "1", [], 0)
    make(bot, (Button("文章", "article_id", article_id="article"),), Audience("", "1"))
    edit(bot, starred, MENU, STARRED)
    before = entries(bot)
    with api.store.opened() as state:
        del state.published["article"]  # so the menu that is asked first cannot be added again
    assert publish(bot, starred).errcode == 53600
    assert seen() == ["帮助"]
    live = bot.menus.look(bot.account_id, again=True).live
    assert live
    assert [each.menuid for each in live.conditional] == [each.menuid for each in reversed(before)]


def test_what_could_not_be_deleted_is_deleted_with_the_next_attempt(
    bot: Services, api: FakeAPI, seen: Any
) -> None:
    starred = make(bot, (HELP,), STARRED)
    edit(bot, starred, (SHOP,), ANDROID)
    api.errcodes[DELETE] = [-1] * 9
    row = publish(bot, starred)
    assert row.state == MenuState.SCHEDULED
    api.errcodes[DELETE] = []
    write(bot.engine, update(MenuVersion).values(claimed_until=None))
    bot.menus.publish_due(bot.account_id, row.publish_at)
    assert seen() == ["网店"]
    live = bot.menus.look(bot.account_id, again=True).live
    assert live
    [only] = live.conditional
    assert only.menuid == entry(bot, starred).menuid


def test_menus_that_were_made_elsewhere_stay_and_are_taken_over_in_their_order(
    bot: Services, seen: Any
) -> None:
    assert bot.client
    oldest = bot.client.menu.add_conditional((SHOP,), {"tag_id": "2"})
    ours = make(bot, (HELP,), STARRED)
    newest = bot.client.menu.add_conditional(MENU, {"client_platform_type": "2"})
    live = bot.menus.look(bot.account_id, again=True).live
    assert live
    for count in (2, 0):
        assert conditional.adopt(bot.engine, LI, bot.account_id, live.conditional) == count
    assert [each.menuid for each in entries(bot)] == [newest, entry(bot, ours).menuid, oldest]
    assert entries(bot)[0].audience == ANDROID
    assert seen() == ["帮助", "更多"]


def test_deleting_the_default_menu_deletes_all_and_they_can_be_published_again(
    bot: Services, seen: Any
) -> None:
    starred = make(bot, (HELP,), STARRED)
    bot.menus.delete(LI, bot.account_id)
    assert seen() == []
    assert entry(bot, starred).menuid == ""
    publish(bot)
    publish(bot, starred)
    assert seen() == ["帮助"]


def test_a_deleted_menu_is_gone_here_and_at_the_platform(bot: Services, api: FakeAPI, seen: Any) -> None:
    starred = make(bot, (HELP,), STARRED)
    api.errcodes[DELETE] = [40028]
    with pytest.raises(APIError):
        bot.menus.delete_conditional(LI, bot.account_id, starred)
    assert len(entries(bot)) == 1
    assert bot.client
    bot.client.menu.delete_conditional(entry(bot, starred).menuid)  # somebody else was faster
    bot.menus.delete_conditional(LI, bot.account_id, starred)
    assert seen() == ["帮助", "更多"]
    assert entries(bot) == []
    for use in (bot.menus.delete_conditional, lambda *who: conditional.move_up(bot.engine, *who)):
        with pytest.raises(NoSuchMenu):
            use(LI, bot.account_id, starred)
    with bot.engine.connect() as connection:
        told = connection.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert told[-1] == "conditional_menu_deleted"
    assert EVERYBODY.matchrule == {}
