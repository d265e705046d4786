"""Channels as admins edit them: what is refused, and that secrets are sealed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from tests.services.alerts.played import ADMIN, Robot, Shop
from wechat_bot.models import AlertFailure, AuditEntry
from wechat_bot.routing.strict_json import InvalidDefinition, ProblemCode
from wechat_bot.services.alerts import channels
from wechat_bot.services.alerts.channels import ChannelConflict, ChannelNotFound, Secrets
from wechat_bot.services.alerts.robots import Failure
from wechat_bot.services.operators.sealing import Sealer

URL = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a-very-secret-key"


def problems(
    shop: Shop, *, url: str = URL, secret: str = "", **definition: Any
) -> list[tuple[str, ProblemCode]]:
    with pytest.raises(InvalidDefinition) as raised:
        shop.add(url=url, secret=secret, **definition)
    return [(problem.field, problem.code) for problem in raised.value.problems]


def save(shop: Shop, channel_id: int, version: int, secrets: Secrets, **definition: Any) -> None:
    definition = {"name": "n", "medium": "feishu", **definition}
    ours = shop.bot.engine, shop.bot.sealer, ADMIN, shop.account_id
    channels.save(*ours, channel_id, version, definition, secrets)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "javascript:alert(1)", "https://", "https://li:pw@example.com/", "https://a b/"],
)
def test_only_addresses_of_the_web_are_taken(shop: Shop, url: str) -> None:
    assert problems(shop, url=url) == [("url", ProblemCode.FORMAT)]


def test_every_problem_is_told(shop: Shop) -> None:
    assert problems(shop, url="", name=" ", minutes=0, occasions=[], recipients=["a@b.c"]) == [
        ("name", ProblemCode.BLANK),
        ("occasions", ProblemCode.MISSING),
        ("minutes", ProblemCode.RANGE),
        ("recipients", ProblemCode.USELESS),
    ]
    assert problems(shop, url="") == [("url", ProblemCode.MISSING)]
    assert problems(shop, secret="s") == [("secret", ProblemCode.USELESS)]
    assert problems(shop, quiet={"hours": ["25:00-26:00"]}) == [("quiet.hours[0]", ProblemCode.FORMAT)]


@pytest.mark.parametrize(
    "recipients", [["no address"], ["a@b.c\nBcc: d@e.f"], ["a@b.c, d@e.f"], ["<a@b.c>"], ["a" * 300 + "@b.c"]]
)
def test_a_recipient_is_one_address(shop: Shop, recipients: list[str]) -> None:
    assert problems(shop, url="", medium="mail", recipients=recipients) == [
        ("recipients", ProblemCode.FORMAT)
    ]


def test_secrets_are_sealed_and_in_no_audit_entry(shop: Shop) -> None:
    channel_id = shop.add("feishu", URL, "SECret")
    save(shop, channel_id, 1, Secrets(f"{URL}2", "SECret2"))
    row = shop.row(channel_id)
    assert channels.masked_address(shop.bot.sealer, row) == "qyapi.weixin.qq.com/…key2"
    assert (shop.bot.sealer.open(row.sealed_url), shop.bot.sealer.open(row.sealed_secret)) == (
        f"{URL}2",
        "SECret2",
    )
    with shop.bot.engine.connect() as connection:
        kept = str(connection.execute(select(AuditEntry.__table__)).all()) + str(row)
    assert "SECret" not in kept
    assert "secret-key" not in kept
    assert "url, secret" in kept


def test_saving_keeps_what_is_not_entered_and_can_remove_the_secret(shop: Shop) -> None:
    channel_id = shop.add("feishu", URL, "SECret")
    before = shop.row(channel_id)
    save(shop, channel_id, 1, Secrets(), name="another")
    row = shop.row(channel_id)
    assert (row.sealed_url, row.sealed_secret) == (before.sealed_url, before.sealed_secret)
    save(shop, channel_id, 2, Secrets(secret=""))
    assert shop.row(channel_id).sealed_secret == ""


def test_what_somebody_else_saved_is_not_overwritten(shop: Shop) -> None:
    channel_id = shop.add("feishu", URL)
    save(shop, channel_id, 1, Secrets(), name="theirs")
    with pytest.raises(ChannelConflict) as raised:
        save(shop, channel_id, 1, Secrets(), name="mine")
    assert raised.value.version == 2
    assert shop.row(channel_id).definition["name"] == "theirs"


def test_a_channel_keeps_its_medium_and_its_account(shop: Shop) -> None:
    channel_id = shop.add("feishu", URL)
    with pytest.raises(InvalidDefinition):
        save(shop, channel_id, 1, Secrets(), medium="wecom")
    with pytest.raises(ChannelNotFound):
        channels.remove(shop.bot.engine, ADMIN, shop.account_id + 1, channel_id)


def test_there_is_a_limit(shop: Shop) -> None:
    for _ in range(channels.MAX_CHANNELS):
        shop.add("wecom", URL)
    assert problems(shop) == [("name", ProblemCode.TOO_MANY)]


def test_an_address_that_cannot_be_opened_is_a_failure(shop: Shop, robot: Robot) -> None:
    channel_id = shop.add("wecom", robot.url)
    shop.bot.alerts._sealer = Sealer("another key of sixteen")
    assert shop.test(channel_id) == Failure(AlertFailure.SEALED)
    assert robot.got == []
