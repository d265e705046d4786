"""Unanswered questions, as requests of an operator's browser."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser, SignIn, audited, operator_of
from tests.operators import add_operator
from tests.services.messages.journal import CATCH_ALL, Journal
from wechat_bot.blueprints.admin.questions import PAGE_SIZE
from wechat_bot.models import Direction, MessageState, Role

PAGE = "/admin/questions"
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def operator(signed_in: SignIn) -> Browser:
    return signed_in(Role.OPERATOR)


@pytest.fixture
def journal(engine: Engine) -> Journal:
    return Journal(engine)


def ask(journal: Journal, *texts: str, at: datetime | None = None, follower: int | None = None) -> int:
    """Let a follower ask what nobody answers, by default now, and return the last message's id."""
    asked = {"created_at": at or datetime.now(UTC), "follower_id": follower, "origin": CATCH_ALL}
    ids = [journal.add(each, **asked) for each in texts]
    return ids[-1]


def listed(page: str) -> list[str]:
    return re.findall(r"data-row>(.*?)</a>", page)


def test_the_list_begins_with_what_was_asked_most_this_week(operator: Browser, journal: Journal) -> None:
    assert "这里没有问题" in operator.get(PAGE).text
    ask(journal, "能开发票吗", at=NOW - timedelta(days=8))
    ask(journal, "几点开门", "可以带狗吗", "几点开门？")
    page = operator.get(PAGE).text
    assert listed(page) == ["几点开门", "可以带狗吗", "能开发票吗"]
    assert "待处理 3" in page
    assert re.search(
        r'aria-label="最近 12 周每周问了几次，这一周在最后：0、0、0、0、0、0、0、0、0、0、0、2"', page
    )


def test_a_group_shows_what_followers_wrote_and_what_people_answered(
    operator: Browser, journal: Journal, engine: Engine
) -> None:
    person = add_operator(engine, "小王", Role.OPERATOR)
    first, second = journal.follower("o1"), journal.follower("o2")
    ask(journal, "几点开门", at=NOW - timedelta(days=3), follower=first)
    answer = {"direction": Direction.OUT, "operator_id": person}
    journal.add("太晚的回答", created_at=NOW - timedelta(days=1), follower_id=first, **answer)
    message = ask(journal, "请问几点开门", at=NOW - timedelta(hours=3), follower=second)
    failed = {**answer, "state": MessageState.FAILED}
    journal.add("没送到的回答", created_at=NOW - timedelta(hours=2), follower_id=second, **failed)
    journal.add("九点<开门>", created_at=NOW - timedelta(hours=1), follower_id=second, **answer)
    page = operator.get(f"{PAGE}/1").text
    assert "问了 2 次" in page
    assert f'<a href="/admin/messages/{message}">请问几点开门</a>' in page
    assert "小王 回答过" in page
    assert "太晚的回答" not in page
    assert "没送到的回答" not in page
    [knowledge] = re.findall(r'href="([^"]*knowledge/new[^"]*)"', page)
    link = urlsplit(knowledge.replace("&amp;", "&"))
    assert link.path == "/admin/knowledge/new"
    assert parse_qs(link.query) == {"question": ["几点开门"], "answer": ["九点<开门>"]}
    [rule] = re.findall(r'href="(/admin/rules/new[^"]*)"', page)
    assert "几点开门" in operator.get(rule).text
    [evaluation] = re.findall(r'href="(/admin/evaluations/new[^"]*)"', page)
    assert "几点开门</textarea>" in operator.get(evaluation).text


def test_a_group_is_done_opened_ignored_with_a_reason_and_assigned(
    operator: Browser, journal: Journal, engine: Engine
) -> None:
    ask(journal, "几点开门")
    operator.get(PAGE)
    shown = operator.post(f"{PAGE}/1/state", state="done")
    assert "已改为“已处理”" in operator.get(shown.location).text
    assert listed(operator.get(PAGE).text) == []
    assert listed(operator.get(f"{PAGE}?state=done").text) == ["几点开门"]
    refused = operator.post(f"{PAGE}/1/state", state="ignored", reason=" ")
    assert refused.status_code == 422
    assert "写一句为什么不用回答" in refused.text
    operator.post(f"{PAGE}/1/state", state="ignored", reason="不是问题")
    assert "不是问题" in operator.get(f"{PAGE}?state=all").text
    operator.post(f"{PAGE}/1/state", state="open")
    li = operator_of(engine, "li")
    operator.post(f"{PAGE}/1/assign", operator=li.id)
    assert listed(operator.get(f"{PAGE}?assignee={li.id}").text) == ["几点开门"]
    assert listed(operator.get(f"{PAGE}?assignee=0").text) == []
    operator.post(f"{PAGE}/1/assign", operator="")
    assert listed(operator.get(f"{PAGE}?assignee=0").text) == ["几点开门"]
    changes = ["question_state_changed"] * 3 + ["question_assigned"] * 2
    assert [action for action in audited(engine) if action.startswith("question")] == changes


def test_a_question_after_it_was_done_opens_a_group_again(operator: Browser, journal: Journal) -> None:
    ask(journal, "几点开门")
    operator.get(PAGE)
    operator.post(f"{PAGE}/1/state", state="done")
    ask(journal, "几点开门呢", at=datetime.now(UTC) + timedelta(seconds=1))
    assert "处理后又有人问" in operator.get(PAGE).text
    assert "处理之后，又有人问" in operator.get(f"{PAGE}/1").text


def test_pages_follow_each_other_without_a_gap(operator: Browser, journal: Journal) -> None:
    texts = [f"{chr(0x4E00 + 7 * number)}{chr(0x5E00 + 5 * number)}" for number in range(PAGE_SIZE + 3)]
    ask(journal, *texts, texts[0])
    first = operator.get(PAGE).text
    [older] = re.findall(r'<a class="btn" href="([^"]*)" rel="next"', first)
    second = operator.get(older.replace("&amp;", "&")).text
    assert listed(first)[0] == texts[0]
    assert sorted(listed(first) + listed(second)) == sorted(texts)


def test_the_filter_searches_and_refuses_what_is_none(operator: Browser, journal: Journal) -> None:
    ask(journal, "WiFi密码多少", "折扣100%吗")
    assert listed(operator.get(f"{PAGE}?q=wifi").text) == ["WiFi密码多少"]
    assert listed(operator.get(f"{PAGE}?q=%25").text) == ["折扣100%吗"]
    assert "没有这样的问题" in operator.get(f"{PAGE}?q=退款").text
    for query in ("state=lost", "assignee=x", "after=1", "after=1:2026-13-01:2", "q=" + 201 * "长"):
        assert operator.get(f"{PAGE}?{query}").status_code == 400
    for path, form in {"state": {"state": "lost"}, "assign": {"operator": "999"}}.items():
        assert operator.post(f"{PAGE}/1/{path}", **form).status_code == 400
    assert operator.get(f"{PAGE}/99").status_code == 404
    assert operator.post(f"{PAGE}/99/state", state="done").status_code == 404
    assert operator.post(f"{PAGE}/99/assign", operator="").status_code == 404


def test_the_groups_are_exported_with_answers_and_without_formulas(
    operator: Browser, journal: Journal, engine: Engine
) -> None:
    person, follower = add_operator(engine, "小王", Role.OPERATOR), journal.follower("o1")
    ask(journal, "=几点开门", at=NOW - timedelta(hours=1), follower=follower)
    journal.add("九点", created_at=NOW, follower_id=follower, direction=Direction.OUT, operator_id=person)
    ask(journal, "可以带狗吗")
    exported = operator.get(f"{PAGE}.csv").get_data().decode("utf-8-sig")
    rows = {row["question"]: row for row in csv.DictReader(io.StringIO(exported))}
    assert rows["'=几点开门"]["answer"] == "九点"
    assert (rows["可以带狗吗"]["total"], rows["可以带狗吗"]["answer"]) == ("1", "")
    assert audited(engine)[-1] == "exported"


def test_a_viewer_reads_and_changes_nothing(signed_in: SignIn, journal: Journal, app: Flask) -> None:
    ask(journal, "几点开门")
    viewer = signed_in(Role.VIEWER, "看客")
    assert listed(viewer.get(PAGE).text) == ["几点开门"]
    assert "做成规则" not in viewer.get(f"{PAGE}/1").text
    assert viewer.get(f"{PAGE}.csv").status_code == 403
    assert viewer.post(f"{PAGE}/1/state", state="done").status_code == 403
