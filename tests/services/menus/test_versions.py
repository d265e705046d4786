"""Drafts, history and publication, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.services.menus.test_buttons import HELP, MENU, SHOP
from wechat_bot.database.transactions import write
from wechat_bot.models import AuditEntry, MenuState, MenuVersion
from wechat_bot.services.accounts.capabilities import Feature
from wechat_bot.services.audit import Actor
from wechat_bot.services.menus import versions
from wechat_bot.services.menus.decisions import DIFFERS, NOT_READ_BACK, RETRY_TIME
from wechat_bot.services.menus.publishing import LiveMenuChanged
from wechat_bot.services.menus.versions import Conflict, NoSuchVersion, NotPublishable, Version
from wechat_bot.simulator.state import APIFault, APIFaultKind
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat.api.menu import Button
from wechat_bot.wiring import Services

LI, WANG = Actor(None, "小李", ""), Actor(None, "小王", "")
CREATE, GET = "/cgi-bin/menu/create", "/cgi-bin/menu/get"


def current(bot: Services) -> Version | None:
    account_id = bot.account_id
    with bot.engine.connect() as connection:
        return versions.current(connection, account_id)


def token(bot: Services) -> str:
    version = current(bot)
    return version.token if version else ""


def states(bot: Services) -> list[tuple[int, str]]:
    """The versions, the newest first."""
    with bot.engine.connect() as connection:
        history = versions.history(connection, bot.account_id)
    return [(version.row.number, version.row.state) for version in history]


def save(bot: Services, menu: Any = MENU, actor: Actor = LI) -> None:
    versions.save(bot.engine, actor, bot.account_id, token(bot), menu)


def publish(bot: Services, fingerprint: str = "") -> Any:
    return bot.menus.publish_now(LI, bot.account_id, token(bot), fingerprint)


def test_a_draft_changes_until_it_is_published_and_the_next_one_begins_with_it(
    bot: Services, api: FakeAPI
) -> None:
    assert current(bot) is None
    save(bot, (HELP,))
    save(bot, MENU)
    assert states(bot) == [(1, "draft")]
    row = publish(bot)
    assert (row.state, row.error) == (MenuState.PUBLISHED, "")
    assert row.menuid
    assert [button["name"] for button in api.menu_of("o1")] == ["帮助", "更多"]
    version = current(bot)
    assert version
    assert version.menu == MENU
    save(bot, (SHOP,))
    assert states(bot) == [(2, "draft"), (1, "published")]
    assert bot.menus.look(bot.account_id).live
    assert [button["name"] for button in api.menu_of("o1")] == ["帮助", "更多"]


def test_the_second_of_two_editors_overwrites_nothing(bot: Services) -> None:
    save(bot, (HELP,))
    seen = token(bot)
    versions.save(bot.engine, LI, bot.account_id, seen, (HELP, SHOP))
    with pytest.raises(Conflict) as conflict:
        versions.save(bot.engine, WANG, bot.account_id, seen, (SHOP,))
    theirs = conflict.value.current
    assert theirs
    assert (theirs.row.operator, theirs.menu) == ("小李", (HELP, SHOP))
    versions.replace_draft(bot.engine, WANG, bot.account_id, theirs.token, (SHOP,))
    assert states(bot) == [(2, "draft"), (1, "withdrawn")]
    with bot.engine.connect() as connection:
        assert versions.find(connection, bot.account_id, 1).menu == (HELP, SHOP)
    with pytest.raises(Conflict):
        versions.save(bot.engine, LI, bot.account_id, seen, MENU)
    with pytest.raises(Conflict):
        versions.schedule(bot.engine, LI, bot.account_id, seen, datetime.now(UTC))


def test_two_first_drafts_are_a_conflict_too(bot: Services) -> None:
    versions.save(bot.engine, LI, bot.account_id, "", (HELP,))
    with pytest.raises(Conflict):
        versions.save(bot.engine, WANG, bot.account_id, "", (SHOP,))


def test_a_menu_that_was_made_elsewhere_is_kept_in_the_history(bot: Services, api: FakeAPI) -> None:
    elsewhere = (Button("别处", "view", url="https://elsewhere.example/"),)
    assert bot.client
    bot.client.menu.create(elsewhere)
    save(bot)
    publish(bot)
    assert states(bot) == [(2, "withdrawn"), (1, "published")]
    with bot.engine.connect() as connection:
        kept = versions.find(connection, bot.account_id, 2)
    assert (kept.menu, kept.row.operator) == (elsewhere, "")
    version = current(bot)
    assert version
    assert version.menu == MENU
    save(bot, (HELP,))
    publish(bot)
    assert len(states(bot)) == 3  # the menu that was replaced is in the history already


def test_who_publishes_over_a_menu_that_they_did_not_see_is_told(bot: Services, api: FakeAPI) -> None:
    save(bot)
    live = bot.menus.look(bot.account_id).live
    assert live
    assert bot.client
    bot.client.menu.create((SHOP,))
    with pytest.raises(LiveMenuChanged):
        publish(bot, live.fingerprint())
    assert states(bot) == [(1, "draft")]
    live = bot.menus.look(bot.account_id).live
    assert live
    assert publish(bot, live.fingerprint()).state == MenuState.PUBLISHED


def test_a_menu_that_the_platform_would_refuse_is_not_sent(bot: Services, api: FakeAPI) -> None:
    save(bot, (Button("", "click", key="k"),))
    with pytest.raises(NotPublishable):
        publish(bot)
    assert states(bot) == [(1, "draft")]
    assert CREATE not in api.calls


def test_a_refused_menu_failed_and_can_be_changed_and_published_again(bot: Services, api: FakeAPI) -> None:
    save(bot)
    api.errcodes[CREATE] = [40027]
    row = publish(bot)
    assert (row.state, row.errcode) == (MenuState.FAILED, 40027)
    version = current(bot)
    assert version
    assert version.menu == MENU
    assert publish(bot).state == MenuState.PUBLISHED
    assert states(bot) == [(2, "published"), (1, "failed")]


def test_an_account_without_the_api_is_remembered(bot: Services, api: FakeAPI) -> None:
    save(bot)
    api.errcodes[CREATE] = [48001]
    assert publish(bot).state == MenuState.FAILED
    assert not bot.capabilities.allows(bot.account_id, Feature.MENU)
    assert bot.menus.look(bot.account_id, again=True).live  # the menu can still be read


def test_while_the_platform_is_away_it_is_tried_again_for_an_hour(bot: Services, api: FakeAPI) -> None:
    save(bot)
    api.errcodes[CREATE] = [-1] * 9
    row = publish(bot)
    assert (row.state, row.errcode) == (MenuState.SCHEDULED, -1)
    bot.menus.publish_due(bot.account_id, datetime.now(UTC))
    assert states(bot) == [(1, "scheduled")]  # not again at once
    _later(bot)
    api.errcodes[CREATE] = []
    bot.menus.publish_due(bot.account_id, datetime.now(UTC))
    assert states(bot) == [(1, "published")]

    save(bot, (HELP,))
    api.errcodes[CREATE] = [-1] * 9
    publish(bot)
    _later(bot, publish_at=datetime.now(UTC) - RETRY_TIME - timedelta(minutes=1))
    bot.menus.publish_due(bot.account_id, datetime.now(UTC))
    assert states(bot)[0] == (2, "failed")


def _later(bot: Services, **columns: Any) -> None:
    write(
        bot.engine,
        update(MenuVersion)
        .where(MenuVersion.state == MenuState.SCHEDULED)
        .values(claimed_until=datetime.now(UTC) - timedelta(seconds=1), **columns),
    )


def test_a_version_is_published_at_its_time_once(bot: Services, api: FakeAPI) -> None:
    now = datetime.now(UTC)
    save(bot)
    versions.schedule(bot.engine, LI, bot.account_id, token(bot), now + timedelta(hours=1))
    save(bot, (HELP,))
    versions.schedule(bot.engine, LI, bot.account_id, token(bot), now + timedelta(hours=2))
    bot.menus.publish_due(bot.account_id, now)
    assert api.menu_of("o1") == []
    bot.menus.publish_due(bot.account_id, now + timedelta(hours=1))
    assert states(bot) == [(2, "scheduled"), (1, "published")]
    assert len(api.menu_of("o1")) == 2
    bot.menus.publish_due(bot.account_id, now + timedelta(hours=3))
    bot.menus.publish_due(bot.account_id, now + timedelta(hours=3))
    assert states(bot) == [(2, "published"), (1, "published")]
    assert api.calls.count(CREATE) == 2


def test_what_is_scheduled_can_be_cancelled_until_it_is_published(bot: Services) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    save(bot)
    versions.schedule(bot.engine, LI, bot.account_id, token(bot), at)
    versions.cancel(bot.engine, LI, bot.account_id, 1)
    assert states(bot) == [(1, "draft")]
    versions.schedule(bot.engine, LI, bot.account_id, token(bot), at)
    save(bot, (HELP,))
    versions.cancel(bot.engine, LI, bot.account_id, 1)
    assert states(bot) == [(2, "draft"), (1, "withdrawn")]
    for number in (1, 2, 9):
        with pytest.raises(NoSuchVersion):
            versions.cancel(bot.engine, LI, bot.account_id, number)


def test_what_is_read_back_is_compared(bot: Services, api: FakeAPI) -> None:
    def replace_menu() -> None:
        with api.store.opened() as state:
            state.menu = state.menu[:1]

    save(bot)
    api.before_call = replace_menu
    row = publish(bot)
    assert (row.state, row.error) == (MenuState.PUBLISHED, DIFFERS)


def test_a_menu_that_cannot_be_read_back_is_published_all_the_same(bot: Services, api: FakeAPI) -> None:
    def refuse_reading() -> None:
        with api.store.opened() as state:
            api.errcodes["/cgi-bin/get_current_selfmenu_info"] = [50002] if state.menu else []

    save(bot)
    api.before_call = refuse_reading
    row = publish(bot)
    assert (row.state, row.error) == (MenuState.PUBLISHED, NOT_READ_BACK)


def test_deleting_keeps_the_menu_in_the_history(bot: Services, api: FakeAPI) -> None:
    assert bot.client
    bot.client.menu.create((SHOP,))
    bot.menus.delete(LI, bot.account_id)
    assert api.menu_of("o1") == []
    assert states(bot) == [(1, "withdrawn")]
    live = bot.menus.look(bot.account_id).live
    assert live
    assert live.menu == ()
    with bot.engine.connect() as connection:
        assert connection.scalars(select(AuditEntry.action)).all() == ["menu_deleted"]


def test_a_broken_version_is_shown_as_such_and_kept(bot: Services) -> None:
    save(bot)
    write(bot.engine, update(MenuVersion).values(buttons="{broken"))
    version = current(bot)
    assert version
    assert version.menu is None
    with pytest.raises(NotPublishable):
        publish(bot)
    save(bot, (HELP,))
    assert states(bot) == [(2, "draft"), (1, "withdrawn")]
    with bot.engine.connect() as connection:
        assert versions.find(connection, bot.account_id, 1).row.buttons == "{broken"


def test_the_live_menu_is_not_read_at_every_step(bot: Services, api: FakeAPI) -> None:
    for _ in range(5):
        bot.menus.look(bot.account_id)
    assert api.calls.count(GET) == 1
    api.fail(APIFault(APIFaultKind.ERRCODE, -1, times=99))
    assert bot.menus.look(bot.account_id, again=True).error
    assert bot.menus.look(bot.account_id).error


def test_it_is_known_which_handler_answers_a_button(bot: Services) -> None:
    assert bot.menus.handler_of(HELP) == "events.help_button"
    assert bot.menus.handler_of(Button("订单", "click", key="orders")) == ""
    assert bot.menus.handler_of(Button("扫码", "scancode_waitmsg", key="MENU_HELP")) == ""
