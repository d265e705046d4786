"""Every push that is genuine is kept and answered, whatever its fields hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Row, select

from tests.cases import PUSHES
from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import CallbackOutcome, Direction, Follower, MessageLog, MessageState
from wechat_bot.services.health.call_stats import PARTLY_UNDERSTOOD
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.xml import build
from wechat_bot.wiring import services

KEPT: dict[str, tuple[str, str, str]] = {
    "A-cdata-end-last": ("text", "if (a[b[0]]>1) return;", ""),
    "A-forged-fields": ("text", "x]]></Content><MsgType><![CDATA[event]]></MsgType><Content><![CDATA[y", ""),
    "A-nested-message": (
        "text",
        "<xml><ToUserName><![CDATA[gh_x]]></ToUserName><Content><![CDATA[nihao]]></Content></xml>",
        "",
    ),
    "A-nested-status": ("text", "<order><status><![CDATA[paid]]></status></order>", ""),
    "D-createtime-ms": ("text", "hi", "TextMessage: CreateTime"),
    "D-image-no-mediaid": ("image", "", "ImageMessage: MediaId"),
    "D-link-empty-url": ("link", "t\nd", "LinkMessage: Url"),
    "D-link-no-url": ("link", "t\nd", "LinkMessage: Url"),
    "D-location-event-empty": ("location", "", "LocationEvent: Latitude, Longitude, Precision"),
    "D-location-event-no-precision": ("location", "", "LocationEvent: Precision"),
    "D-mass-count-minus": ("masssendjobfinish", "", "MassSentEvent: TotalCount"),
    "D-mass-counts-empty": ("masssendjobfinish", "", ""),
    "D-mass-from-chinese": ("masssendjobfinish", "", "MassSentEvent: FromUserName"),
    "D-mass-no-from": ("masssendjobfinish", "", "MassSentEvent: FromUserName"),
    "D-naming-fail-minus": ("naming_verify_fail", "", "VerificationEvent: FailTime"),
    "D-text-empty-msgid": ("text", "hi", "TextMessage: MsgId"),
    "D-text-msgid-0-first": ("text", "first", "TextMessage: MsgId"),
    "D-text-msgid-0-second": ("text", "second", "TextMessage: MsgId"),
    "D-text-no-msgid": ("text", "hi", "TextMessage: MsgId"),
    "D-verify-expired-text": ("verify_expired", "", "VerificationEvent: ExpiredTime"),
    "D-voice-empty-mediaid": ("voice", "hi", "VoiceMessage: MediaId"),
    "E-c1-x85": ("text", "a\x85b", ""),
    "E-fffe": ("text", "a\ufffeb", ""),
    "E-gbk": ("text", "\ufffd\ufffd\ufffd", ""),
    "E-latin1": ("text", "caf\ufffd", ""),
    "E-utf8-cut": ("text", "清\ufffd", ""),
    "E-utf8-cut-mid": ("text", "\ufffd风", ""),
    "E-x00": ("text", "ab", ""),  # the payload has the NUL; see below
    "E-x02": ("text", "a\x02b", ""),
    "E-x10": ("text", "ä\x10", ""),
    "E-x1d": ("text", " \x1dc", ""),
    "E-x7f": ("text", "a\x7fb", ""),
    "P-mass-err30003": ("masssendjobfinish", "", ""),
    "P-notice-list-empty": ("subscribe_msg_popup_event", "", ""),
    "P-notice-list-flat": ("subscribe_msg_change_event", "", ""),
    "P-notice-list-single": ("subscribe_msg_sent_event", "", ""),
    "P-subscribe-empty-eventkey": ("subscribe", "", ""),
    "P-subscribe-no-eventkey": ("subscribe", "", ""),
    "P-view-miniprogram": ("view_miniprogram", "pages/core/index?x=1&y=2", ""),
    "P-voice-no-recognition": ("voice", "", ""),
}
"""For each body in ``tests/data/cases/pushes`` the kind or event and the text that are recorded, and what is
counted as understood in part."""

REPORTS = ("D-mass", "D-naming", "D-verify", "P-mass", "P-notice")
"""Those that no follower caused."""


def push(app: Flask, body: bytes) -> int:
    """Push `body` signed, and encrypted in safe mode; return the status of the answer."""
    platform = FakePlatform.of(app)
    query = platform.query()
    if services(app).account.credentials.mode == "safe":
        encrypted = platform.encrypt(body)
        query, body = platform.query(encrypted), f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()
    return app.test_client().post(f"/wechat?{query}", data=body).status_code


def recorded(app: Flask) -> list[Row[Any]]:
    with app.app_context():
        log = MessageLog.__table__
        found = select(log, Follower.openid).join(Follower, isouter=True)
        found = found.where(MessageLog.direction == Direction.IN).order_by(MessageLog.id)
        return list(db.session.connection().execute(found).all())


def partly_understood(app: Flask) -> CallbackOutcome | None:
    services(app).call_stats.flush()
    with app.app_context():
        return db.session.get(CallbackOutcome, PARTLY_UNDERSTOOD)


def test_the_corpus_is_whole() -> None:
    assert {path.stem for path in PUSHES.glob("*.xml")} == set(KEPT)


@pytest.mark.parametrize("mode", ["plain", "safe"])
@pytest.mark.parametrize("path", sorted(PUSHES.glob("*.xml")), ids=lambda path: path.stem)
def test_a_genuine_push_is_kept_and_answered(make_app: MakeApp, path: Path, mode: str) -> None:
    app = make_app(wechat_message_mode=mode)
    assert [push(app, path.read_bytes()) for _ in range(2)] == [200, 200]
    kind, text, counted = KEPT[path.stem]
    [row] = recorded(app)  # the second push is a retry
    assert (row.event or row.kind, row.text) == (kind, text)
    assert row.payload.keys() >= {"ToUserName", "FromUserName", "CreateTime", "MsgType"}
    assert row.openid == (None if path.stem.startswith(REPORTS) else row.payload["FromUserName"])
    seen = partly_understood(app)
    assert (seen.detail if seen else "") == counted


def test_every_database_keeps_them_all(make_app: MakeApp, server_database: str) -> None:
    app = make_app(database_url=server_database)
    for name in KEPT:
        assert push(app, (PUSHES / f"{name}.xml").read_bytes()) == 200, name
    rows = zip(recorded(app), KEPT.items(), strict=True)
    assert {name: (row.event or row.kind, row.text) for row, (name, _) in rows} == {
        name: (kind, text) for name, (kind, text, _) in KEPT.items()
    }


def test_a_nul_and_every_other_field_are_kept_as_sent(app: Flask) -> None:
    push(app, (PUSHES / "E-x00.xml").read_bytes())
    push(app, (PUSHES / "D-mass-counts-empty.xml").read_bytes())
    text, report = recorded(app)
    assert text.payload["Content"] == "a\x00b"
    assert report.payload["CopyrightCheckResult"] == {"Count": "2", "ResultList": None}
    assert (report.payload["TotalCount"], report.payload["SentCount"]) == (None, " 0 ")


@pytest.mark.parametrize("sender", ["", "公众平台", "a b", "o" * 65])
def test_a_message_whose_sender_is_unknown_is_kept_without_a_follower(app: Flask, sender: str) -> None:
    platform = FakePlatform.of(app)
    fields = platform.message("text", Content="hi") | {"FromUserName": sender or " ", "Event": "x"}
    answer = app.test_client().post(f"/wechat?{platform.query()}", data=build(fields))
    assert (answer.status_code, answer.data) == (200, b"success"), "there is nobody to answer to"
    [row] = recorded(app)
    assert (row.kind, row.text, row.openid, row.state) == ("text", "hi", None, MessageState.ANSWERED)


def test_the_same_id_with_a_later_time_is_a_message_of_its_own(app: Flask, platform: FakePlatform) -> None:
    first = platform.message("text", Content="first")
    second = first | {"Content": "second", "CreateTime": str(int(first["CreateTime"]) + 3)}
    for fields in (first, second, first, second):
        assert platform.push_once(fields).status == 200
    assert [row.text for row in recorded(app)] == ["first", "second"]


@pytest.mark.parametrize("created_at", ["1795857048415", "", "soon"])
def test_a_message_without_a_valid_time_was_created_when_it_arrived(
    app: Flask, platform: FakePlatform, created_at: str
) -> None:
    platform.push_once(platform.message("text", Content="hi") | {"CreateTime": created_at})
    [row] = recorded(app)
    assert abs(row.created_at - row.received_at) < timedelta(minutes=1)
