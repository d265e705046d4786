"""The history as a file."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.cases import TEXTS
from tests.conftest import APP_ID, MakeApp
from tests.hostile import PUSHED
from tests.services.messages.journal import Journal
from wechat_bot.handlers import router
from wechat_bot.models import Direction
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.messages import export
from wechat_bot.services.messages.export import COLUMNS, stream
from wechat_bot.services.messages.filters import MessageFilter
from wechat_bot.services.projections.projector import Projector

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


def account(engine: Engine) -> int:
    return ensure_account(engine, APP_ID)


def table(engine: Engine, **values: str) -> list[dict[str, str]]:
    text = "".join(
        stream(engine, account(engine), MessageFilter.parse(values, SHANGHAI), "csv", zone=SHANGHAI)
    )
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_line_has_what_is_known_of_a_message(journal: Journal, engine: Engine) -> None:
    follower = journal.follower("o1", alias="小王")
    message = journal.add("你好，\n“世界”", follower_id=follower, latency_ms=12, platform_id="77")
    [line] = table(engine)
    assert line == {
        "id": str(message),
        "time": "2026-11-22T20:00:00+08:00",
        "direction": "in",
        "openid": "o1",
        "alias": "小王",
        "kind": "text",
        "event": "",
        "text": "你好，\n“世界”",
        "state": "answered",
        "origin": "commands.show_help",
        "latency_ms": "12",
        "platform_id": "77",
        "error": "",
    }


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_made_up_name_is_in_no_file(journal: Journal, engine: Engine, form: str) -> None:
    journal.add(follower_id=journal.follower("oFollower1"))
    text = "".join(stream(engine, account(engine), MessageFilter(), form))
    assert "oFollower1" in text
    assert "北斗" not in text


def test_only_what_the_filter_means_is_in_the_file(journal: Journal, engine: Engine) -> None:
    journal.add("退款")
    right = journal.add("退款", direction=Direction.OUT)
    journal.add("你好", direction=Direction.OUT)
    Projector(engine, router).catch_up()
    assert [line["id"] for line in table(engine, q="退款", direction="out")] == [str(right)]


def test_nothing_is_missing_or_twice_between_the_pieces(
    journal: Journal, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BATCH_SIZE", 7)
    journal.add_many(f"{number} 退款单号" for number in range(50))
    Projector(engine, router).catch_up()
    reached: list[int] = []
    pieces = stream(engine, account(engine), MessageFilter(q="退款单号"), "jsonl", progress=reached.append)
    lines = [json.loads(line) for line in "".join(pieces).splitlines()]
    assert [line["text"] for line in lines] == [f"{number} 退款单号" for number in range(49, -1, -1)]
    assert reached == sorted(reached, reverse=True)
    assert reached[-1] == lines[-1]["id"]


def test_what_arrives_meanwhile_does_not_disturb(
    journal: Journal, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BATCH_SIZE", 2)
    journal.add_many(["你好"] * 5)
    pieces = stream(engine, account(engine), MessageFilter(), "jsonl")
    read = next(pieces) + next(pieces)
    journal.add("later")
    assert len((read + "".join(pieces)).splitlines()) == 5


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"])
def test_no_cell_is_computed(journal: Journal, engine: Engine, cell: str) -> None:
    follower = journal.follower("o1", alias=cell)
    journal.add(cell, follower_id=follower)
    [line] = table(engine)
    assert line["text"] == line["alias"] == "'" + cell


@pytest.mark.parametrize("cell", (TEXTS / "O-cells.txt").read_text(encoding="ascii").split())
def test_no_cell_becomes_another_number_or_a_date(journal: Journal, engine: Engine, cell: str) -> None:
    follower = journal.follower("o1", alias=cell)
    journal.add(cell, follower_id=follower, platform_id="24987654321098766")
    [line] = table(engine)
    assert line["text"] == line["alias"] == "'" + cell
    assert line["platform_id"] == "'24987654321098766"


@pytest.mark.parametrize("cell", ["0", "77", "137000000000000", "3-4 个", "1E", "你好"])
def test_other_cells_are_written_as_they_are(journal: Journal, engine: Engine, cell: str) -> None:
    journal.add(cell)
    [line] = table(engine)
    assert line["text"] == cell


def test_any_text_can_be_written(journal: Journal, engine: Engine) -> None:
    texts = [text.replace("\x00", "") for text in PUSHED.values()]
    journal.add_many(texts)
    lines = "".join(stream(engine, account(engine), MessageFilter(), "jsonl")).split("\n")[:-1]
    assert [json.loads(line)["text"] for line in lines] == texts[::-1]
    assert len(table(engine)) == len(texts)


def test_a_file_begins_with_its_columns_and_a_mark_on_demand(journal: Journal, engine: Engine) -> None:
    journal.add(created_at=datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")))
    text = "".join(
        stream(engine, account(engine), MessageFilter(), "csv", bom=True, zone=ZoneInfo("Europe/Berlin"))
    )
    head, line = text.splitlines()
    assert head == "\ufeff" + ",".join(COLUMNS)
    assert "2026-07-01T12:00:00+02:00" in line


def test_nothing_is_held_between_the_pieces(journal: Journal, engine: Engine) -> None:
    journal.add_many(["你好"] * 3)
    pieces = stream(engine, account(engine), MessageFilter(), "jsonl")
    next(pieces)
    next(pieces)
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
