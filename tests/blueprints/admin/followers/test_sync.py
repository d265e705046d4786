"""The followers page: synchronising with the platform, and what the platform does not know yet."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, select

from tests.blueprints.admin.conftest import Browser, SignIn, audited, newest
from tests.conftest import APP_ID, APP_SECRET, MakeApp
from wechat_bot.database.transactions import transaction
from wechat_bot.models import CallCount, Follower, FollowerSync, PendingUpdate, Role
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.accounts.capabilities import Feature
from wechat_bot.services.audit import Actor
from wechat_bot.services.followers.sync import LIST_PATH
from wechat_bot.simulator.state import SimulatedFollower as Played
from wechat_bot.testing import FakeAPI
from wechat_bot.wiring import services

_NOBODY = Actor(None, "tests", "")


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    """An account with 150 followers whom nobody knows yet."""
    with api.store.opened() as state:
        state.followers = {f"o{n:03}": Played(f"o{n:03}", subscribe_time=1_700_000_000) for n in range(150)}
    return make_app(api=api, wechat_app_secret=APP_SECRET)


def sync(browser: Browser, **form: str) -> int:
    return browser.post("/admin/followers/sync", form_at="/admin/followers", **form).status_code


def test_the_button_starts_a_run_whose_progress_is_asked_for_until_it_ends(
    app: Flask, admin: Browser, engine: Engine
) -> None:
    page = admin.get("/admin/followers").text
    assert "还没有同步过" in page
    assert "不再提供昵称" in page
    assert sync(admin) == 303
    assert sync(admin) == 303  # pressed twice, it is one run
    part = admin.get("/admin/followers/sync").text
    assert 'hx-trigger="load delay:2s"' in part
    assert "已同步 0 / 0" in part
    services(app).jobs.run_all()
    part = admin.get("/admin/followers/sync").text
    assert "hx-get" not in part
    assert "上次同步了 150 人" in part
    assert audited(engine).count("sync_started") == 1
    assert "o149" in admin.get("/admin/followers").text
    assert admin.get(f"/admin/conversations/{newest(engine, Follower.id)}").status_code == 200


def test_a_run_that_failed_says_why_and_goes_on_from_there(app: Flask, admin: Browser, api: FakeAPI) -> None:
    api.errcodes["/cgi-bin/user/info/batchget"] = [45009]
    sync(admin)
    services(app).jobs.run_all()
    page = admin.get("/admin/followers").text
    assert "同步中断在 0 / 0" in page
    assert "45009" in page
    client = services(app).client
    assert client
    client.system.resume()  # the next day
    assert sync(admin, resume="1") == 303
    services(app).jobs.run_all()
    assert "上次同步了 150 人" in admin.get("/admin/followers").text


def test_a_run_names_the_records_that_make_no_sense(app: Flask, admin: Browser, api: FakeAPI) -> None:
    with api.store.opened() as state:
        state.followers["o041"].remark = {}  # type: ignore[assignment]
    sync(admin)
    services(app).jobs.run_all()
    assert "这些记录读不懂，已跳过：o041" in admin.get("/admin/followers/sync").text


def test_the_calls_of_today_are_shown(app: Flask, admin: Browser, engine: Engine) -> None:
    sync(admin)
    services(app).jobs.run_all()
    services(app).call_stats.flush()
    with transaction(engine) as connection:
        last = connection.execute(select(CallCount.__table__).where(CallCount.path == LIST_PATH)).one()
        yesterday = {**last._mapping, "hour": last.hour - 24, "calls": 77}
        connection.execute(insert(CallCount).values(yesterday))
    assert "列表接口今天用了 1 / 500 次" in admin.get("/admin/followers").text


def test_only_operators_may_start_a_run(app: Flask, signed_in: SignIn) -> None:
    viewer = signed_in(Role.VIEWER, "zhao")
    assert "同步粉丝</button>" not in viewer.get("/admin/followers").text
    assert viewer.post("/admin/followers/sync").status_code == 403
    operator = signed_in(Role.OPERATOR, "wang")
    assert operator.client.post("/admin/followers/sync").status_code == 400  # without the token
    assert sync(operator) == 303


def test_an_account_that_may_not_reads_why(app: Flask, admin: Browser, engine: Engine) -> None:
    account_id = ensure_account(engine, APP_ID)
    services(app).capabilities.record_response(account_id, Feature.FOLLOWERS, allowed=False)
    page = admin.get("/admin/followers").text
    assert "微信回答过 48001：账号没有粉丝列表接口" in page
    assert "disabled" in page.split("同步粉丝</button>")[0].rsplit("<button", 1)[1]
    assert sync(admin) == 409
    with engine.connect() as connection:
        assert connection.scalar(select(FollowerSync.id)) is None


def test_changes_are_told_to_the_platform_and_those_it_refuses_are_shown(
    app: Flask, admin: Browser, api: FakeAPI, engine: Engine
) -> None:
    sync(admin)
    services(app).jobs.run_all()
    with engine.connect() as connection:
        follower = connection.scalars(select(Follower.id).where(Follower.openid == "o000")).one()
    page = f"/admin/followers/{follower}"
    admin.post(f"{page}/alias", form_at=page, alias="王姐")
    admin.post(f"{page}/tags", form_at=page, tag="VIP")
    admin.post("/admin/followers/bulk", form_at="/admin/followers", id=follower, tag="老客")
    account_id = ensure_account(engine, APP_ID)
    api.errcodes["/cgi-bin/tags/create"] = [45056] * 6
    for _ in range(3):
        services(app).write_back.send(account_id)
    text = admin.get(page).text
    assert "还没有写回微信" in text
    assert "45056" in text
    assert "微信里的备注</dt><dd>王姐" in text
    admin.post(f"{page}/writebacks", form_at=page)
    api.errcodes.clear()
    services(app).write_back.send(account_id)
    assert "还没有写回微信" not in admin.get(page).text
    with api.store.opened() as state:
        names = {tag.id: tag.name for tag in state.tags}
        assert {names[number] for number in state.followers["o000"].tags} == {"VIP", "老客"}
        assert state.followers["o000"].remark == "王姐"


def test_nothing_waits_to_be_told_where_an_admin_switched_it_off(
    app: Flask, admin: Browser, engine: Engine
) -> None:
    services(app).followers.run(services(app).followers.begin(ensure_account(engine, APP_ID), _NOBODY))
    services(app).capabilities.override(_NOBODY, ensure_account(engine, APP_ID), Feature.FOLLOWERS, False)
    page = f"/admin/followers/{newest(engine, Follower.id)}"
    admin.post(f"{page}/alias", form_at=page, alias="王姐")
    with engine.connect() as connection:
        assert connection.scalar(select(PendingUpdate.id)) is None
