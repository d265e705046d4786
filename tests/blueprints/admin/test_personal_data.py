"""The page of personal data, and what a follower's page offers."""

from __future__ import annotations

import io
from zipfile import ZipFile

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.services.messages.journal import Journal
from wechat_bot.models import Follower, Role
from wechat_bot.services.personal_data.retention import load_policy
from wechat_bot.wiring import services

OPENID = "oFollowerToBeForgotten"
PAGE = "/admin/personal-data"


@pytest.fixture
def follower_id(engine: Engine) -> int:
    journal = Journal(engine)
    follower_id = journal.follower(OPENID)
    journal.add("我说过的话", follower_id=follower_id)
    return follower_id


def test_an_admin_says_how_long_data_is_kept(app: Flask, engine: Engine, admin: Browser) -> None:
    assert 'value="365"' in admin.get(PAGE).text
    form = {"version": "0", "messages": " 730 ", "media": "", "model_answers": "183"}
    assert admin.post(PAGE, form_at=PAGE, **form).status_code == 303
    with engine.connect() as connection:
        policy = load_policy(connection, services(app).account_id).policy
    assert (policy.messages, policy.media, policy.model_answers, policy.audit) == (730, 0, 183, 0)
    assert "retention_changed" in audited(engine)
    assert 'value="730"' in admin.get(PAGE).text


def test_a_time_that_is_too_short_is_told_beside_its_field(admin: Browser) -> None:
    refused = admin.post(PAGE, form_at=PAGE, version="0", model_answers="7", messages="不知道")
    assert refused.status_code == 422
    assert 'aria-describedby="problem-model_answers"' in refused.text
    assert 'aria-describedby="problem-messages"' in refused.text
    assert 'value="不知道"' in refused.text


def test_what_a_colleague_has_saved_is_not_overwritten_unseen(admin: Browser) -> None:
    admin.post(PAGE, form_at=PAGE, version="0", messages="30")
    conflict = admin.post(PAGE, form_at=PAGE, version="0", messages="60")
    assert conflict.status_code == 409
    assert 'value="60"' in conflict.text
    assert admin.post(PAGE, form_at=PAGE, version="1", messages="60").status_code == 303


def test_a_follower_is_erased_once_the_openid_is_confirmed(
    app: Flask, engine: Engine, admin: Browser, follower_id: int
) -> None:
    erase = f"/admin/followers/{follower_id}/erase"
    assert erase in admin.get(f"/admin/followers/{follower_id}").text
    refused = admin.post(erase, form_at=erase, confirmation="xxxx")
    assert (refused.status_code, "最后 4 个字符" in refused.text) == (422, True)
    with engine.connect() as connection:
        assert connection.scalar(select(Follower.openid)) == OPENID
    assert admin.post(erase, form_at=erase, confirmation="tten").headers["Location"] == PAGE
    page = admin.get(PAGE).text
    assert "正在删除：0 / 1 条消息" in page
    assert 'hx-trigger="load delay:2s"' in page
    for gone in (
        erase,
        f"/admin/followers/{follower_id}",
        f"/admin/followers/{follower_id}/personal-data.zip",
    ):
        assert admin.get(gone).status_code == 404
    services(app).erasures.work(services(app).account_id, seconds=10)
    part = admin.get(f"{PAGE}/erasures").text
    assert "已删除，连同 1 条消息" in part
    assert "hx-get" not in part
    assert audited(engine)[-2:] == ["erasure_begun", "erasure_finished"]


def test_a_follower_is_exported(engine: Engine, admin: Browser, follower_id: int) -> None:
    response = admin.get(f"/admin/followers/{follower_id}/personal-data.zip")
    assert response.headers["Content-Disposition"] == f"attachment; filename=follower-{follower_id}.zip"
    with ZipFile(io.BytesIO(response.data)) as archive:
        assert "我说过的话" in archive.read("messages.csv").decode()
    assert audited(engine)[-1] == "follower_exported"


def test_operators_neither_export_nor_erase(signed_in: SignIn, follower_id: int) -> None:
    operator = signed_in(Role.OPERATOR)
    page = f"/admin/followers/{follower_id}"
    assert "personal-data" not in operator.get(page).text
    for path in (PAGE, f"{page}/erase", f"{page}/personal-data.zip"):
        assert operator.get(path).status_code == 403
