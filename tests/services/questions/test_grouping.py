"""Unanswered questions: which messages are, and how they are grouped and counted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, Row, insert, select, text

from tests.conftest import MakeApp
from tests.operators import add_operator
from tests.services.messages.journal import CATCH_ALL, NOON, Journal
from wechat_bot.database.transactions import transaction
from wechat_bot.models import (
    Channel,
    Direction,
    MessageState,
    ModelAnswer,
    Outcome,
    QuestionExample,
    QuestionGroup,
    QuestionState,
    QuestionToken,
    QuestionWeek,
    Role,
)
from wechat_bot.models.rows import new_row
from wechat_bot.services.audit import Actor
from wechat_bot.services.questions import editing, grouping
from wechat_bot.services.questions.grouping import BATCH_SIZE, Questions
from wechat_bot.services.questions.storing import delete_groups
from wechat_bot.wiring import services

ACTOR = Actor(None, "li", "")


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


@pytest.fixture
def questions(app: Flask) -> Questions:
    return services(app).questions


def catch_up(app: Flask, seconds: float = 60) -> None:
    services(app).projector.catch_up(seconds)
    services(app).questions.catch_up(seconds)


def groups(engine: Engine) -> list[Row[Any]]:
    with engine.connect() as connection:
        return list(connection.execute(select(QuestionGroup.__table__).order_by(QuestionGroup.id)))


def asked(engine: Engine) -> dict[str, int]:
    return {row.text: row.asked for row in groups(engine)}


def test_what_nobody_answered_is_grouped_by_likeness_and_counted_once(
    app: Flask, journal: Journal, engine: Engine
) -> None:
    for words in ("你们几点开门？", "请问你们几点开门", "可以用医保卡吗", "你们几点开门呢"):
        journal.add(words, origin=CATCH_ALL)
    catch_up(app)
    catch_up(app)
    assert asked(engine) == {"你们几点开门？": 3, "可以用医保卡吗": 1}
    journal.add("你们几点开门", origin="")
    catch_up(app)
    assert asked(engine) == {"你们几点开门？": 4, "可以用医保卡吗": 1}


@pytest.mark.parametrize(
    ("columns", "is_question"),
    [
        ({"origin": CATCH_ALL}, True),
        ({"origin": ""}, True),
        ({"origin": "rule.3.person"}, True),
        ({"origin": "rule.3"}, False),
        ({"origin": "rule.3", "state": MessageState.FAILED}, True),
        ({"origin": CATCH_ALL, "kind": "voice"}, False),
        ({"origin": CATCH_ALL, "kind": "event", "event": "click"}, False),
        ({"origin": CATCH_ALL, "payload": {"bizmsgmenuid": "late-1"}}, False),
        ({"origin": "", "direction": Direction.OUT, "channel": Channel.CUSTOMER}, False),
    ],
)
def test_a_question_is_a_text_that_nobody_answered(
    make_app: MakeApp, columns: dict[str, Any], is_question: bool
) -> None:
    app = make_app()
    journal = Journal(services(app).engine)
    journal.add("几点开门", **columns)
    catch_up(app)
    assert bool(groups(journal.engine)) is is_question


def test_what_is_written_to_an_operator_is_no_question(app: Flask, journal: Journal, engine: Engine) -> None:
    operator = add_operator(engine, "li", Role.OPERATOR)
    talks, other = journal.follower("o1"), journal.follower("o2")
    minutes = [NOON + timedelta(minutes=minute) for minute in range(120)]

    def ask(words: str, follower: int, minute: int) -> None:
        journal.add(words, follower_id=follower, created_at=minutes[minute], origin=CATCH_ALL)

    ask("有停车场吗", talks, 0)
    journal.add(
        "有的", follower_id=talks, created_at=minutes[5], direction=Direction.OUT, operator_id=operator
    )
    ask("那要钱吗", talks, 10)
    ask("周末开门吗", other, 10)
    ask("可以带狗吗", talks, 90)
    catch_up(app)
    assert [*asked(engine)] == ["有停车场吗", "周末开门吗", "可以带狗吗"]


def test_a_message_that_a_slow_handler_works_on_is_waited_for(
    app: Flask, journal: Journal, engine: Engine
) -> None:
    now = datetime.now(UTC)
    slow = journal.add("你们是谁", created_at=now, state=MessageState.LATE, origin="chat.answer")
    journal.add("几点开门", created_at=now, origin=CATCH_ALL)
    catch_up(app)
    assert asked(engine) == {}
    with transaction(engine) as connection:
        connection.execute(text("UPDATE message_logs SET state = 'answered' WHERE id = :id"), {"id": slow})
    catch_up(app)
    assert asked(engine) == {"几点开门": 1}


def test_weeks_begin_on_monday_in_the_time_zone_of_the_account(
    app: Flask, journal: Journal, engine: Engine
) -> None:
    sunday = datetime(2026, 11, 22, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai
    for at in (sunday, sunday + timedelta(minutes=1), sunday + timedelta(days=1)):
        journal.add("几点开门", created_at=at, origin=CATCH_ALL)
    catch_up(app)
    with engine.connect() as connection:
        counted = connection.execute(
            select(QuestionWeek.week, QuestionWeek.asked).order_by(QuestionWeek.week)
        )
        assert counted.all() == [(date(2026, 11, 16), 1), (date(2026, 11, 23), 2)]
    [group] = groups(engine)
    assert (group.week, group.week_asked, group.first_at) == (date(2026, 11, 23), 2, sunday)


def test_a_question_opens_a_group_that_was_done_and_none_that_is_ignored(
    app: Flask, journal: Journal, engine: Engine
) -> None:
    journal.add("几点开门", origin=CATCH_ALL)
    journal.add("哈哈哈哈", origin=CATCH_ALL)
    catch_up(app)
    done, ignored = (row.id for row in groups(engine))
    editing.set_state(engine, ACTOR, journal.account_id, done, QuestionState.DONE)
    editing.set_state(engine, ACTOR, journal.account_id, ignored, QuestionState.IGNORED, "不是问题")
    journal.add("几点开门？", origin=CATCH_ALL)  # older than the operator's decision
    catch_up(app)
    assert [row.state for row in groups(engine)] == [QuestionState.DONE, QuestionState.IGNORED]
    later = datetime.now(UTC) + timedelta(minutes=1)
    for words in ("几点开门？", "哈哈哈哈！"):
        journal.add(words, created_at=later, origin=CATCH_ALL)
    catch_up(app)
    opened, still_ignored = groups(engine)
    assert (opened.state, opened.reopened_at, opened.asked) == (QuestionState.OPEN, later, 3)
    assert (still_ignored.state, still_ignored.asked) == (QuestionState.IGNORED, 2)


def test_a_disliked_answer_makes_a_question_once(app: Flask, journal: Journal, engine: Engine) -> None:
    journal.add("几点开门", origin="chat.answer", dedup_key="a")
    catch_up(app)
    assert groups(engine) == []
    for _ in range(2):
        services(app).questions.add(journal.account_id, "a")
    services(app).questions.add(journal.account_id + 1, "a")
    assert asked(engine) == {"几点开门": 1}


def test_what_the_model_could_not_answer_is_a_question(make_app: MakeApp) -> None:
    app = make_app()
    journal = Journal(services(app).engine)
    rows = [
        new_row(
            ModelAnswer,
            account_id=journal.account_id,
            dedup_key=key,
            outcome=outcome,
            rating=rating,
            profile_version=1,
            created_at=NOON,
        )
        for key, outcome, rating in (
            ("a", Outcome.ANSWERED, 1),
            ("b", Outcome.UNKNOWN, 0),
            ("c", Outcome.BLOCKED, 0),
            ("d", Outcome.ANSWERED, -1),
        )
    ]
    with transaction(journal.engine) as connection:
        connection.execute(insert(ModelAnswer), rows)
    for key, words in {"a": "营业时间", "b": "能开发票吗", "c": "你是哪家公司的", "d": "怎么走"}.items():
        journal.add(words, dedup_key=key, origin="chat.answer")
    catch_up(app)
    assert [*asked(journal.engine)] == ["能开发票吗", "你是哪家公司的", "怎么走"]


def test_many_messages_take_many_bounded_steps(
    app: Flask, journal: Journal, engine: Engine, questions: Questions
) -> None:
    count = 2 * BATCH_SIZE + 1
    journal.add_many((f"第{number}种问题有人答吗" for number in range(count)), origin=CATCH_ALL)
    services(app).projector.catch_up(60)
    sizes = []
    for _ in range(3):
        questions.catch_up(0)
        with engine.connect() as connection:
            sizes.append(len(connection.scalars(select(QuestionExample.message_id)).all()))
    assert sizes == [BATCH_SIZE, 2 * BATCH_SIZE, count]


def test_a_text_belongs_to_the_group_that_it_is_most_like(
    app: Flask, journal: Journal, engine: Engine
) -> None:
    for words in ("会员卡怎么办理退卡呀", "会员卡怎么办", "会员卡怎么办理退", "会员卡怎么办啊"):
        journal.add(words, origin=CATCH_ALL)
        catch_up(app)
    assert asked(engine) == {"会员卡怎么办理退卡呀": 2, "会员卡怎么办": 2}


def test_beyond_a_limit_what_was_asked_least_and_longest_ago_is_deleted(
    app: Flask, journal: Journal, engine: Engine, questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "MAX_UNTOUCHED", 2)
    monkeypatch.setattr(grouping, "MAX_DELETED", 2)
    monkeypatch.setattr(grouping, "DELETED_AT_ONCE", 1)
    words = [
        "几点开门",
        "可以刷卡吗",
        "怎么退款",
        "在哪里停车",
        "有没有现货",
        "发票怎么开",
        "能改期吗",
        "能改期吗",
    ]
    for minute, each in enumerate(words):
        journal.add(each, origin=CATCH_ALL, created_at=NOON - timedelta(minutes=minute))
    catch_up(app)
    by_text = {row.text: row.id for row in groups(engine)}
    editing.set_state(engine, ACTOR, journal.account_id, by_text["发票怎么开"], QuestionState.IGNORED, "不开")
    operator_id = add_operator(engine, "wang", Role.OPERATOR)
    editing.assign(engine, ACTOR, journal.account_id, by_text["有没有现货"], operator_id)
    questions.delete_rarest(journal.account_id + 1)
    assert len(groups(engine)) == 7
    for kept in (5, 4, 4):
        questions.delete_rarest(journal.account_id)
        assert len(groups(engine)) == kept
    assert [*asked(engine)] == ["几点开门", "有没有现货", "发票怎么开", "能改期吗"]
    left = {row.id for row in groups(engine)}
    with engine.connect() as connection:
        for table in (QuestionExample, QuestionWeek, QuestionToken):
            assert set(connection.scalars(select(table.group_id))) == left


def test_a_group_that_is_deleted_meanwhile_begins_anew(
    app: Flask, journal: Journal, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.add("几点开门", origin=CATCH_ALL)
    catch_up(app)
    journal.add("几点开门？", origin=CATCH_ALL)
    write = Questions._write

    def write_late(self: Questions, *args: Any) -> None:
        monkeypatch.setattr(Questions, "_write", write)
        ids = [row.id for row in groups(engine)]
        with transaction(engine) as connection:
            delete_groups(connection, ids)
        write(self, *args)

    monkeypatch.setattr(Questions, "_write", write_late)
    catch_up(app)
    assert asked(engine) == {}
    catch_up(app)
    assert asked(engine) == {"几点开门？": 1}
