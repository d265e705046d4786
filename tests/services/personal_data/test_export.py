"""A follower gets everything that is known, and nothing of others."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from zipfile import ZipFile
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import Engine

from tests.services.messages.journal import NOON
from tests.services.personal_data.people import FILE, OPENID, WORDS, People
from wechat_bot.services.personal_data import export
from wechat_bot.services.personal_data.places import PLACES

SHANGHAI = ZoneInfo("Asia/Shanghai")


def pieces(engine: Engine, people: People, follower_id: int) -> Iterator[bytes]:
    return export.stream(engine, people.store, people.account_id, follower_id, NOON, SHANGHAI)


def unpack(data: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_everything_that_is_known_is_in_the_file(app: Flask, engine: Engine, people: People) -> None:
    people.add("oAnotherFollower", "绿色的青蛙跳进了池塘")
    files = unpack(b"".join(pieces(engine, people, people.add())))
    assert {f"{place.model.__tablename__}.csv" for place in PLACES if place.exported} < files.keys()
    [profile] = rows(files["followers.csv"])
    assert (profile["openid"], profile["first_seen_at"]) == (OPENID, "2026-11-22T20:00:00+08:00")
    assert [row["text"] for row in rows(files["messages.csv"])] == [WORDS, "", WORDS]
    lines = files["messages.jsonl"].decode().splitlines()
    assert json.loads(lines[-1])["payload"] == {"Content": WORDS, "FromUserName": OPENID}
    assert [row["question"] for row in rows(files["model_answers.csv"])] == [WORDS]
    assert [content for name, content in files.items() if name.startswith("media/")] == [FILE]
    assert "绿色的青蛙".encode() not in b"".join(files.values())


def test_spreadsheets_find_no_formula(app: Flask, engine: Engine, people: People) -> None:
    files = unpack(b"".join(pieces(engine, people, people.add(words="=1+1+cmd|' /C calc'!A0"))))
    cells = [
        cell for name in files if name.endswith(".csv") for row in rows(files[name]) for cell in row.values()
    ]
    assert "'=1+1+cmd|' /C calc'!A0" in cells
    assert not [cell for cell in cells if cell.startswith("=")]


def test_a_file_that_is_lost_leaves_the_rest(app: Flask, engine: Engine, people: People) -> None:
    follower_id = people.add()
    people.store.delete(people.store.put(FILE), NOON.replace(year=2100))
    files = unpack(b"".join(pieces(engine, people, follower_id)))
    assert not [name for name in files if name.startswith("media/")]


def test_no_piece_holds_many_messages(app: Flask, engine: Engine, people: People) -> None:
    follower_id = people.journal.follower(OPENID)
    people.journal.add_many([f"{number} " + "长" * 500 for number in range(5000)], follower_id=follower_id)
    found = list(pieces(engine, people, follower_id))
    assert len(found) > 10
    assert len(rows(unpack(b"".join(found))["messages.csv"])) == 5000
