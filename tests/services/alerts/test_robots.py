"""What robots, webhooks and mail servers get, and what becomes of their answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import MakeApp
from tests.services.alerts.played import FINE, MailServer, Robot, Shop, playing_robot
from wechat_bot.models import AlertFailure
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.services.alerts import delivery
from wechat_bot.services.alerts.robots import Failure
from wechat_bot.settings import Switch

NAME = pseudonym("oFirst")
LINK = "https://bot.example.com/admin/conversations/1"


def hmac_of(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def test_wecom_and_dingtalk_get_a_text_with_name_time_and_link(shop: Shop, robot: Robot) -> None:
    for medium in ("wecom", "dingtalk"):
        shop.add(medium, robot.url)
    shop.asks("oFirst")
    shop.tell()
    assert robot.texts == [f"公众号：1 位粉丝在等人工\n{NAME} 刚开始等\n{LINK}"] * 2
    assert {body["msgtype"] for body in robot.bodies} == {"text"}


def test_dingtalk_signs_in_the_address(shop: Shop, robot: Robot) -> None:
    assert shop.test(shop.add("dingtalk", robot.url, "SECret")) is None
    query = parse_qs(urlsplit(robot.got[0][0]).query)
    timestamp = query["timestamp"][0]
    assert len(timestamp) == 13
    assert query["sign"] == [hmac_of("SECret", f"{timestamp}\nSECret")]
    assert query["key"] == ["a-very-secret-key"]


def test_feishu_gets_a_post_of_plain_elements_and_the_signature_in_the_body(shop: Shop, robot: Robot) -> None:
    robot.answer = FINE["feishu"]
    shop.add("feishu", robot.url, "SECret", language="en")
    shop.asks("oFirst", '<at user_id="all"></at>')
    shop.tell()
    [body] = robot.bodies
    timestamp = body["timestamp"]
    assert len(timestamp) == 10
    assert body["sign"] == hmac_of(f"{timestamp}\nSECret", "")
    link = {"tag": "a", "text": f"{NAME} has just begun to wait", "href": LINK}
    post = {"title": "Official Account: 1 waiting for a person", "content": [[link]]}
    assert body["content"] == {"post": {"en_us": post}}


def test_a_webhook_gets_json_for_programs(shop: Shop, robot: Robot) -> None:
    robot.status, robot.answer = 204, b""
    shop.add("webhook", robot.url, shows_words=True)
    shop.asks("oFirst", "我要退款")
    shop.tell()
    [body] = robot.bodies
    assert (body["title"], body["text"]) == ("公众号：1 位粉丝在等人工", f"{NAME} 刚开始等：我要退款\n{LINK}")
    [waiting] = body["waiting"]
    assert (waiting["follower"], waiting["url"], waiting["words"]) == (NAME, LINK, "我要退款")
    assert (waiting["occasions"], waiting["seconds"]) == (["waiting"], 0)


def test_mail_goes_to_every_recipient(shop: Shop, mail_server: MailServer) -> None:
    channel_id = shop.add("mail", recipients=["li@example.com", "wang@example.com"], language="en")
    shop.asks("oFirst")
    shop.tell()
    [mail] = mail_server.mails
    assert "To: li@example.com, wang@example.com" in mail
    assert "From: bot@example.com" in mail
    assert "Subject: Official Account: 1 waiting for a person" in mail
    mail_server.refuses = b"550 no such mailbox"
    assert shop.test(channel_id) == Failure(AlertFailure.REFUSED, 550, "no such mailbox")


def test_mail_needs_a_server(make_app: MakeApp) -> None:
    shop = Shop(make_app())
    channel_id = shop.add("mail", recipients=["li@example.com"])
    assert shop.test(channel_id) == Failure(AlertFailure.NO_MAIL_SERVER)


def test_a_mail_server_that_is_away_is_a_failure(shop: Shop, mail_server: MailServer) -> None:
    channel = replace(shop.bot.settings, smtp_url="smtp://127.0.0.1:1")
    found = Shop(shop.app)
    found.bot.alerts._settings = channel
    channel_id = found.add("mail", recipients=["li@example.com"])
    failure = found.test(channel_id)
    assert failure == Failure(AlertFailure.UNREACHABLE, 0, "ConnectionRefusedError")


def test_words_are_told_only_where_the_channel_says_so(shop: Shop, robot: Robot) -> None:
    shop.add("wecom", robot.url)
    shop.add("dingtalk", robot.url, shows_words=True)
    shop.asks("oFirst", "我的密码\n是 123456")
    shop.tell()
    assert sorted("密码" in text for text in robot.texts) == [False, True]
    assert f"公众号：1 位粉丝在等人工\n{NAME} 刚开始等：我的密码 是 123456\n{LINK}" in robot.texts


def test_a_long_text_fits_into_what_wecom_takes(make_app: MakeApp, robot: Robot) -> None:
    url = "https://bot.example.com/" + "deep/" * 100
    shop = Shop(make_app(public_url=url, alerts_private_addresses=Switch.YES))
    shop.add("wecom", robot.url, shows_words=True)
    for number in range(7):
        shop.asks(f"oFollower{number}", "退款" * 300)
    shop.tell()
    assert 1000 < len(robot.texts[0].encode()) <= 2048


REFUSALS: list[tuple[str, int, Any, Failure]] = [
    (
        "wecom",
        200,
        {"errcode": 93000, "errmsg": "invalid webhook url"},
        Failure(AlertFailure.REFUSED, 93000, "invalid webhook url"),
    ),
    (
        "wecom",
        200,
        {"errcode": 45009, "errmsg": "api freq out of limit"},
        Failure(AlertFailure.REFUSED, 45009, "api freq out of limit"),
    ),
    (
        "feishu",
        200,
        {"code": 19021, "msg": "sign match fail"},
        Failure(AlertFailure.REFUSED, 19021, "sign match fail"),
    ),
    (
        "feishu",
        400,
        {"code": 19001, "msg": "param invalid"},
        Failure(AlertFailure.REFUSED, 19001, "param invalid"),
    ),
    (
        "dingtalk",
        200,
        {"errcode": 310000, "errmsg": "sign not match"},
        Failure(AlertFailure.REFUSED, 310000, "sign not match"),
    ),
    ("wecom", 500, b"<html>", Failure(AlertFailure.STATUS, 500)),
    ("webhook", 500, b"", Failure(AlertFailure.STATUS, 500)),
    ("wecom", 200, b"<html>", Failure(AlertFailure.UNREADABLE, 200)),
    ("wecom", 200, [1], Failure(AlertFailure.UNREADABLE, 200)),
    ("feishu", 200, {"errcode": 0}, Failure(AlertFailure.UNREADABLE, 200)),
    ("dingtalk", 200, b"[" * 100_000, Failure(AlertFailure.UNREADABLE, 200)),
]


@pytest.mark.parametrize(("medium", "status", "answer", "failure"), REFUSALS)
def test_an_answer_tells_what_became_of_the_message(
    shop: Shop, robot: Robot, medium: str, status: int, answer: Any, failure: Failure
) -> None:
    robot.status, robot.answer = status, answer
    channel_id = shop.add(medium, robot.url)
    assert shop.test(channel_id) == failure
    row = shop.row(channel_id)
    assert (row.last_failure, row.last_code, row.last_detail) == (
        failure.reason,
        failure.code,
        failure.detail,
    )


def test_a_robot_that_repeats_its_address_does_not_tell_it(shop: Shop, robot: Robot) -> None:
    robot.answer = {"errcode": 93000, "errmsg": f"unknown {robot.url} or a-very-secret-key, signed SECret"}
    failure = shop.test(shop.add("dingtalk", robot.url, "SECret"))
    assert failure == Failure(AlertFailure.REFUSED, 93000, "unknown … or …, signed …")


def test_a_robot_that_is_silent_is_given_up(
    shop: Shop, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT", 0.2)
    robot.silent.set()
    assert shop.test(shop.add("wecom", robot.url)) == Failure(AlertFailure.TIMEOUT)


def test_a_redirection_is_not_followed(shop: Shop, robot: Robot) -> None:
    with playing_robot() as inner:
        robot.status, robot.location = 302, inner.url
        assert shop.test(shop.add("wecom", robot.url)) == Failure(AlertFailure.REDIRECTED, 302)
        assert inner.got == []


PRIVATE = [
    "127.0.0.1",
    "localhost",
    "2130706433",
    "10.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "[::1]",
    "[fd00::1]",
    "[fe80::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_not_reached(make_app: MakeApp, robot: Robot, host: str) -> None:
    shop = Shop(make_app())
    url = robot.url.replace("127.0.0.1", host)
    assert shop.test(shop.add("wecom", url)) == Failure(AlertFailure.PRIVATE)
    assert robot.got == []


def test_a_robot_that_is_away_is_a_failure(shop: Shop) -> None:
    assert shop.test(shop.add("wecom", "http://127.0.0.1:1/")) == Failure(AlertFailure.UNREACHABLE)
