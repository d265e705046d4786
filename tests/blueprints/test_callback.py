"""What the platform, and whoever pretends to be it, gets from the callback."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, text
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.waiting import PATIENCE
from wechat_bot.blueprints import callback
from wechat_bot.extensions import db
from wechat_bot.models import MessageLog
from wechat_bot.services.inbox.receiving import MAX_WORKING
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.crypto import sign
from wechat_bot.wiring import services


def post(app: Flask, query: str, body: bytes, path: str = "/wechat") -> TestResponse:
    return app.test_client().post(f"{path}?{query}", data=body, content_type="text/xml")


def changed(query: str, **changes: str | None) -> str:
    """`query` with other values, or without those that are None."""
    values = dict(parse_qsl(query)) | changes
    return urlencode({name: value for name, value in values.items() if value is not None})


def nothing_is_stored(app: Flask) -> bool:
    with app.app_context():
        return db.session.scalar(select(func.count(MessageLog.id))) == 0


def test_the_url_is_verified_with_the_echo_and_nothing_else(platform: FakePlatform, app: Flask) -> None:
    assert platform.verify_url()
    answer = app.test_client().get(f"/wechat?{platform.query(echostr='<b>7&8</b>')}")
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "<b>7&8</b>", "text/plain")


@pytest.mark.parametrize("path", ["/wechat", "/wechat/"])
def test_both_forms_of_the_path_answer_without_a_redirect(
    platform: FakePlatform, app: Flask, path: str
) -> None:
    query, body, _ = platform.request(platform.message("text", Content="帮助"))
    answer = post(app, query, body, path)
    assert answer.status_code == 200
    assert answer.mimetype == "application/xml"


REFUSED: dict[str, Callable[[str], str]] = {
    "no parameters": lambda _: "",
    "no signature": lambda query: changed(query, signature=None),
    "an empty signature": lambda query: changed(query, signature=""),
    "a wrong signature": lambda query: changed(query, signature="0" * 40),
    "a signature that is not ASCII": lambda query: changed(query, signature="签名" * 20),
    "bytes that are no text": lambda query: changed(query, signature=None) + "&signature=%ff%fe",
    "a repeated signature": lambda query: f"{query}&signature={dict(parse_qsl(query))['signature']}",
    "a repeated nonce": lambda query: f"{query}&nonce=1",
    "no nonce": lambda query: changed(query, nonce=None),
    "another nonce": lambda query: changed(query, nonce="1"),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_does_not_know_the_token_is_refused(
    platform: FakePlatform, app: Flask, method: str, change: Callable[[str], str]
) -> None:
    _, body, _ = platform.request(platform.message("text", Content="x"))
    query = change(platform.query(echostr="1"))
    answer = app.test_client().open(f"/wechat?{query}", method=method, data=body)
    assert (answer.status_code, answer.text) == (403, "forbidden")
    assert nothing_is_stored(app)


class Unread(io.BytesIO):
    """A body that never arrives as a whole."""

    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("the body was read")


def test_the_body_of_a_stranger_is_not_waited_for(platform: FakePlatform, app: Flask) -> None:
    query = changed(platform.query(), signature="0" * 40)
    answer = app.test_client().post(f"/wechat?{query}", input_stream=Unread(), content_length=1000)
    assert (answer.status_code, answer.text) == (403, "forbidden")


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_an_old_or_future_signature_is_refused(app: Flask, skew: int) -> None:
    past = FakePlatform.of(app, clock=lambda: time.time() + skew)
    query, body, _ = past.request(past.message("text", Content="x"))
    assert post(app, query, body).status_code == 403


@pytest.mark.parametrize("mode", ["compatible", "safe"])
def test_every_refusal_of_the_encrypted_modes_looks_the_same(make_app: MakeApp, mode: str) -> None:
    app = make_app(wechat_message_mode=mode)
    platform = FakePlatform.of(app)
    other_key = FakePlatform.of(make_app(wechat_message_mode="safe", wechat_encoding_aes_key="B" * 43))
    other_app = FakePlatform.of(make_app(wechat_message_mode="safe", wechat_app_id="wx" + "0" * 16))
    query, body, _ = platform.request(platform.message("text", Content="x"))
    requests = [
        (changed(query, msg_signature="0" * 40), body),
        (changed(query, msg_signature=None), body),
        (query, body.replace(b"<Encrypt>", b"<Encrypt>A")),
        (query, b"<xml><ToUserName>gh_1</ToUserName></xml>"),
        (query, b"no xml"),
        other_key.request(other_key.message("text", Content="x"))[:2],
        other_app.request(other_app.message("text", Content="x"))[:2],
    ]
    if mode == "safe":
        plain = FakePlatform.of(make_app())
        requests.append(plain.request(plain.message("text", Content="x"))[:2])
    answers = {(a.status_code, a.text) for a in (post(app, *request) for request in requests)}
    assert answers == {(403, "forbidden")}
    assert nothing_is_stored(app)


TEXT = "<ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1767225600</CreateTime>"

MALFORMED = {
    "empty": b"",
    "not XML": b"hello",
    "another root": b"<html><body/></html>",
    "JSON": b'{"MsgType": "text"}',
    "truncated": b"<xml><ToUserName>gh_1</ToUserName>",
    "no elements": b"<xml></xml>",
    "a field missing": b"<xml><MsgType>text</MsgType></xml>",
    "a DTD": b"<!DOCTYPE xml [<!ENTITY a 'b'>]><xml><MsgType>&a;</MsgType></xml>",
    "an entity": b"<xml><MsgType>&a;</MsgType></xml>",
    "nesting": b"<xml>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</xml>",
    "a broken encoding": b"<xml><MsgType>\xff\xfe</MsgType></xml>",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("mode", ["plain", "safe"])
def test_what_is_signed_and_no_message_is_a_bad_request(make_app: MakeApp, mode: str, body: bytes) -> None:
    app = make_app(wechat_message_mode=mode)
    platform = FakePlatform.of(app)
    query = platform.query()
    if mode == "safe":
        encrypted = platform.encrypt(body)
        query = platform.query(encrypted)
        body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()
    answer = post(app, query, body)
    assert (answer.status_code, answer.text) == (400, "malformed")
    assert nothing_is_stored(app)


def test_a_body_over_one_megabyte_is_too_large(platform: FakePlatform, app: Flask) -> None:
    fields = platform.message("text", Content="x" * (1 << 20))
    query, body, _ = platform.request(fields)
    assert post(app, query, body).status_code == 413
    assert nothing_is_stored(app)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_allowed(app: Flask, method: str) -> None:
    answer = app.test_client().open("/wechat", method=method)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "POST"}


@pytest.mark.parametrize(
    "content",
    [
        "你好",
        "😀👨‍👩‍👧",
        "𠮷野家",
        "]]>",
        "<![CDATA[",
        "<b>&amp;</b>",
        "a\r\nb",
        " padded ",
        "<!DOCTYPE html>",
    ],
)
@pytest.mark.parametrize("mode", ["plain", "compatible", "safe"])
def test_what_a_follower_writes_is_stored_as_sent(make_app: MakeApp, mode: str, content: str) -> None:
    app = make_app(wechat_message_mode=mode)
    platform = FakePlatform.of(app)
    assert not platform.push(platform.message("text", Content=content)).failed
    with app.app_context():
        assert db.session.scalar(select(MessageLog.text).order_by(MessageLog.id)) == content


def test_an_unknown_kind_with_unknown_fields_is_kept_whole(platform: FakePlatform, engine: Engine) -> None:
    fields = platform.message("hologram", Beam={"Angle": "7", "Colours": {"item": ["red", "green"]}})
    assert platform.push(fields).shown == "收到你的消息，谢谢！"
    with engine.connect() as connection:
        row = connection.execute(select(MessageLog.kind, MessageLog.payload).order_by(MessageLog.id)).first()
    assert row == ("hologram", fields)


def test_a_locked_database_makes_the_platform_push_again_and_is_told(
    app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    platform.text("first")
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with engine.connect() as connection, connection.execution_options(writes=True).begin():
            locked.set()
            release.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait()
    fields = platform.message("text", Content="帮助")
    attempt = platform.push_once(fields)
    ready = app.test_client().get("/readyz")
    release.set()
    holder.join()
    assert attempt.status is None, "it is held until the platform has gone"
    assert (ready.status_code, ready.text) == (503, "database: locked")
    assert str(platform.push(fields).shown).startswith("我会这些"), (
        "the next push finds it recorded or records it"
    )
    assert app.test_client().get("/readyz").text == "database: ok"
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM message_logs WHERE text = '帮助'")) == 1


def test_a_database_without_tables_is_not_ready(
    make_app: MakeApp, settings: object, tmp_path: object
) -> None:
    app = make_app(database_url=f"sqlite:///{tmp_path}/other.db")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    assert app.test_client().get("/healthz").text == "ok"
    assert app.test_client().get("/readyz").text == "database: not migrated"


def test_what_followers_write_and_secrets_are_in_no_log_line(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    platform = FakePlatform.of(make_app(wechat_message_mode="safe"))
    platform.text("改名")
    platform.text("a secret name")
    platform.push_once(platform.message("text", Content="x") | {"CreateTime": "never"})
    credentials = platform.credentials
    for hidden in ("a secret name", platform.openid, *credentials.tokens, *credentials.aes_keys):
        assert hidden not in caplog.text


def test_a_signature_of_the_previous_token_is_accepted(make_app: MakeApp) -> None:
    app = make_app(wechat_token="newtoken", wechat_token_previous="oldtoken")
    query = f"timestamp={int(time.time())}&nonce=1&echostr=1"
    signature = sign("oldtoken", query.split("=")[1].split("&")[0], "1")
    assert app.test_client().get(f"/wechat?{query}&signature={quote(signature)}").status_code == 200


def test_a_push_whose_time_is_over_when_its_turn_comes_is_not_begun(
    platform: FakePlatform, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "PUSH_TIMEOUT", 0)
    fields = platform.message("text", Content="帮助")
    assert platform.push_once(fields).status == 503
    monkeypatch.undo()
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(MessageLog)) == 0
    assert str(platform.push(fields).shown).startswith("我会这些")


def test_pushes_begin_in_turn(platform: FakePlatform, app: Flask) -> None:
    inbox = services(app).inbox
    with ThreadPoolExecutor() as pool:
        with ExitStack() as others:
            for _ in range(MAX_WORKING):
                others.enter_context(inbox.turn())
            waiting = pool.submit(platform.text, "帮助")
            assert app.test_client().get("/healthz").status_code == 200, "pages do not wait for pushes"
            assert not waiting.done()
        assert str(waiting.result(10)).startswith("我会这些")
