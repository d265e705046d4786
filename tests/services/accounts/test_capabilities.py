"""Tests of the API permissions of an account."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import Capability, Role
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.accounts.capabilities import REFUSAL_TIMEOUT, Capabilities, Feature, PermissionReason
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators import management
from wechat_bot.settings import Switch
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wiring import services

CUSTOMER = Feature.CUSTOMER_SERVICE
SOMEBODY = Actor(None, "tests", "")


def make_capabilities(make_app: MakeApp, **changes: object) -> tuple[Capabilities, int, Engine]:
    app: Flask = make_app(**{"wechat_app_secret": APP_SECRET, **changes})
    with app.app_context():
        engine = db.engine
        return services(app).capabilities, ensure_account(engine, "a"), engine


def test_what_nobody_knows_is_tried_until_the_platform_refuses(make_app: MakeApp, any_database: str) -> None:
    capabilities, account, _ = make_capabilities(make_app, database_url=any_database)
    assert capabilities.permission(account, CUSTOMER).reason is PermissionReason.UNKNOWN
    assert capabilities.allows(account, CUSTOMER)
    capabilities.record_response(account, CUSTOMER, allowed=False)
    capabilities.record_response(account, CUSTOMER, allowed=False)
    permission = capabilities.permission(account, CUSTOMER)
    assert (permission.allowed, permission.reason) == (False, PermissionReason.LEARNED)
    assert permission.at is not None


def test_an_operator_s_word_stays_until_it_is_taken_back(make_app: MakeApp) -> None:
    capabilities, account, engine = make_capabilities(make_app)
    management.create(engine, SOMEBODY, "li", Role.ADMIN, "correct horse battery")
    actor = Actor(1, "li", "")
    capabilities.override(actor, account, CUSTOMER, True)
    capabilities.record_response(account, CUSTOMER, allowed=False)
    assert capabilities.permission(account, CUSTOMER).reason is PermissionReason.OPERATOR
    assert capabilities.allows(account, CUSTOMER)
    capabilities.override(actor, account, CUSTOMER, None)
    assert capabilities.permission(account, CUSTOMER).reason is PermissionReason.UNKNOWN


def test_a_refused_feature_is_tried_again_after_a_day(make_app: MakeApp, any_database: str) -> None:
    capabilities, account, engine = make_capabilities(make_app, database_url=any_database)
    capabilities.record_response(account, Feature.MEDIA, allowed=False)
    assert not capabilities.allows(account, Feature.MEDIA)
    with engine.begin() as connection:
        connection.execute(update(Capability).values(at=datetime.now(UTC) - REFUSAL_TIMEOUT))
    assert capabilities.allows(account, Feature.MEDIA)


def test_what_the_platform_said_about_another_kind_does_not_count(make_app: MakeApp) -> None:
    kind = {"wechat_account_kind": AccountKind.UNVERIFIED_SERVICE}
    before, account, _ = make_capabilities(make_app, **kind)
    before.record_response(account, Feature.MEDIA, allowed=False)
    kind = {"wechat_account_kind": AccountKind.VERIFIED_SERVICE}
    after, account, _ = make_capabilities(make_app, **kind)
    assert after.permission(account, Feature.MEDIA).reason is PermissionReason.KIND
    assert after.allows(account, Feature.MEDIA)


def test_what_the_platform_said_is_forgotten_and_what_operators_said_is_not(make_app: MakeApp) -> None:
    capabilities, account, engine = make_capabilities(make_app)
    management.create(engine, SOMEBODY, "li", Role.ADMIN, "correct horse battery")
    capabilities.override(Actor(1, "li", ""), account, Feature.MENU, False)
    capabilities.record_response(account, Feature.MEDIA, allowed=False)
    capabilities.record_refusal(account)
    capabilities.forget_responses(account)
    permissions = capabilities.all(account)
    assert [feature for feature, each in permissions.items() if not each.allowed] == [Feature.MENU]
    assert permissions[Feature.MENU].refused_at is None


@pytest.mark.parametrize(("switch", "allowed"), [(Switch.YES, True), (Switch.NO, False)])
def test_the_settings_decide_where_they_say_something(
    make_app: MakeApp, switch: Switch, allowed: bool
) -> None:
    capabilities, account, _ = make_capabilities(make_app, wechat_customer_service=switch)
    capabilities.record_response(account, CUSTOMER, allowed=not allowed)
    permission = capabilities.permission(account, CUSTOMER)
    assert (permission.allowed, permission.reason) == (allowed, PermissionReason.SETTINGS)


@pytest.mark.parametrize(
    ("kind", "may"),
    [
        (AccountKind.UNVERIFIED_SUBSCRIPTION, {Feature.JS_SDK}),
        (AccountKind.UNVERIFIED_SERVICE, {Feature.JS_SDK, Feature.MENU}),
        (
            AccountKind.VERIFIED_SUBSCRIPTION,
            set(Feature) - {Feature.TEMPLATES, Feature.QR_CODES, Feature.OAUTH},
        ),
        (AccountKind.VERIFIED_SERVICE, set(Feature)),
        (AccountKind.TEST, set(Feature) - {Feature.PUBLISH, Feature.STATISTICS}),
    ],
)
def test_a_kind_of_account_may_do_what_the_platform_s_table_says(
    make_app: MakeApp, kind: AccountKind, may: set[Feature]
) -> None:
    capabilities, account, _ = make_capabilities(make_app, wechat_account_kind=kind)
    permissions = capabilities.all(account)
    assert {feature for feature, permission in permissions.items() if permission.allowed} == may
    assert {permission.reason for permission in permissions.values()} == {PermissionReason.KIND}


def test_without_a_secret_there_is_no_api(make_app: MakeApp) -> None:
    capabilities, account, _ = make_capabilities(make_app, wechat_app_secret="")
    assert {permission.reason for permission in capabilities.all(account).values()} == {
        PermissionReason.NO_SECRET
    }
    assert not capabilities.allows(account, CUSTOMER)
