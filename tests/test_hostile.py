"""What followers write is data, whatever it is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from tests.conftest import APP_ID, MakeApp
from tests.hostile import HOSTILE, PUSHED, body
from wechat_bot.extensions import db
from wechat_bot.models import Direction, Follower, MessageLog
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.messages.export import stream
from wechat_bot.services.messages.filters import MessageFilter
from wechat_bot.services.search.index import MESSAGES as INDEX
from wechat_bot.services.search.tokens import Query, highlight
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat import replies, xml
from wechat_bot.wechat.replies import Reply
from wechat_bot.wiring import services

Fields = dict[str, str]

MESSAGES: dict[str, Callable[[str], Fields]] = {
    "text": lambda text: {"Content": text},
    "image": lambda text: {"MediaId": "m", "PicUrl": text},
    "voice": lambda text: {"MediaId": "m", "Format": text, "Recognition": text},
    "location": lambda text: {"Location_X": "30.1", "Location_Y": "120.1", "Scale": text, "Label": text},
    "link": lambda text: {"Title": text, "Description": text, "Url": text},
    "file": lambda text: {"Title": text, "Description": text, "FileKey": text},
    "miniprogrampage": lambda text: {"Title": text, "AppId": text, "PagePath": text, "ThumbUrl": text},
    "<svg/onload=window.hacked=1>": lambda text: {"Content": text, "__proto__": text, "标题": text},
}
EVENTS: dict[str, Callable[[str], Fields]] = {
    "subscribe": lambda text: {"EventKey": f"qrscene_{text}", "Ticket": text},
    "SCAN": lambda text: {"EventKey": text, "Ticket": text},
    "CLICK": lambda text: {"EventKey": text},
    "VIEW": lambda text: {"EventKey": text, "MenuId": text},
    "'};window.hacked=1//": lambda text: {"EventKey": text, "constructor": text},
}

RECEIVED = MessageFilter(direction="in")

ON_SERVERS = {"link", "subscribe", "'};window.hacked=1//"}
"""Kinds that have all columns; enough to know that a database keeps them."""


def test_the_corpus_has_what_it_should() -> None:
    assert len(HOSTILE) > 100
    assert len(HOSTILE) - len(PUSHED) == 3  # lone surrogates
    assert max(len(text.encode(errors="replace")) for text in HOSTILE.values()) == 60_000
    assert any("\x00" in text for text in PUSHED.values())


def pushes(platform: FakePlatform, text: str) -> Iterator[tuple[str, Fields]]:
    """The fields of every kind of message and event that can hold `text`."""
    for kind, fields in MESSAGES.items():
        yield kind, platform.message(kind, **fields(text))
    for name, fields in EVENTS.items():
        yield name, platform.event(name, **fields(text))


def answer(app: Flask, platform: FakePlatform, fields: Fields) -> Reply | None:
    """The reply to a push, read as the platform reads it."""
    response = app.test_client().post(f"/wechat?{platform.query(openid=platform.openid)}", data=body(fields))
    assert response.status_code == 200
    return None if response.data in {b"", b"success"} else replies.parse(xml.parse(response.data))


def test_any_text_is_answered_and_stored_as_it_was_sent(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        engine = db.engine
    for number, (name, text) in enumerate(PUSHED.items()):
        platform = FakePlatform.of(app, openid=f"o{number}")
        sent = [
            fields
            for kind, fields in pushes(platform, text)
            if engine.dialect.name == "sqlite" or kind in ON_SERVERS
        ]
        for fields in sent:
            answer(app, platform, fields)
        stored, scene = known(engine, platform.openid)
        assert [log.payload for log in stored] == [received(fields) for fields in sent], name
        assert [log.text for log in stored] == [readable(fields) for fields in sent], name
        assert scene == text.replace("\x00", "")[:128], name


def test_any_text_is_found_and_exported_on_every_database(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        engine = db.engine
    texts = {f"o{number}": text for number, text in enumerate(PUSHED.values())}
    for openid, text in texts.items():
        platform = FakePlatform.of(app, openid=openid)
        answer(app, platform, platform.message("link", **MESSAGES["link"](text)))
    while services(app).projector.catch_up():
        pass
    for openid, text in texts.items():
        if query := Query.parse(text):
            assert openid in finders(engine, query), text
    exported = {line["openid"]: line for line in exported_lines(engine)}
    assert {openid: line["payload"]["Title"] or "" for openid, line in exported.items()} == texts
    for openid, cell in exported_cells(engine).items():
        assert cell.removeprefix("'") == exported[openid]["text"].removeprefix("'")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def exported_lines(engine: Engine) -> list[dict[str, Any]]:
    """What programs read."""
    text = "".join(stream(engine, ensure_account(engine, APP_ID), RECEIVED, "jsonl"))
    return [json.loads(line) for line in text.split("\n") if line]


def exported_cells(engine: Engine) -> dict[str, str]:
    """What spreadsheets read: texts by openid."""
    file = io.StringIO("".join(stream(engine, ensure_account(engine, APP_ID), RECEIVED, "csv")), newline="")
    return {row["openid"]: row["text"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_any_text_is_a_query_and_can_be_marked(text: str) -> None:
    query = Query.parse(text)
    assert query.matches(text)
    shown = "".join(piece for piece, _ in highlight(text, query, context=None))
    assert shown == text
    assert {piece for piece, matches in highlight(text, query) if matches} or not query


def test_lone_surrogates_are_safe_queries_on_every_database(make_app: MakeApp, any_database: str) -> None:
    app = make_app(database_url=any_database)
    with app.app_context():
        engine = db.engine
    for text in set(HOSTILE.values()) - set(PUSHED.values()):
        query = Query.parse(text)
        assert not query or finders(engine, query) == set()


def finders(engine: Engine, query: Query) -> set[str]:
    """Who sent what `query` finds."""
    with engine.connect() as connection:
        found = INDEX.matching_ids(query, engine.dialect.name)
        who = select(Follower.openid).join(MessageLog, MessageLog.follower_id == Follower.id)
        return set(connection.scalars(who.where(MessageLog.id.in_(found))))


def known(engine: Engine, openid: str) -> tuple[list[Any], str]:
    """What a follower sent, and the scene from which they came."""
    with engine.connect() as connection:
        follower = connection.execute(select(Follower).where(Follower.openid == openid)).one()
        mine = select(MessageLog).where(
            MessageLog.follower_id == follower.id, MessageLog.direction == Direction.IN
        )
        return list(connection.execute(mine.order_by(MessageLog.id))), follower.scene


def received(fields: Fields) -> dict[str, str | None]:
    return {name: value or None for name, value in fields.items()}


def readable(fields: Fields) -> str:
    text = {
        "text": fields.get("Content"),
        "voice": fields.get("Recognition"),
        "location": fields.get("Label"),
        "link": f"{fields.get('Title')}\n{fields.get('Description')}",
        "event": fields.get("EventKey", ""),
    }.get(fields["MsgType"], "")
    assert text is not None
    return text.replace("\x00", "")
