"""The audit log as admins read it."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from wechat_bot.models import AuditEntry, Operator, Role

NIGHT = datetime(2026, 11, 1, 17, tzinfo=UTC)
"""One o'clock of the next day in Shanghai."""


@pytest.fixture
def add(engine: Engine) -> Any:
    """Adds an entry, with any values."""

    def add(**values: Any) -> None:
        entry = {"at": NIGHT, "operator": "wang", "action": "alias_changed", "before": None, "after": None}
        with engine.begin() as connection:
            connection.execute(insert(AuditEntry).values(entry | values))

    return add


def test_signing_in_and_failing_is_told(admin: Browser, browser: Browser) -> None:
    browser.sign_in("nobody", "wrong")
    page = admin.get("/admin/audit").text
    assert "登录失败" in page
    assert ">nobody</bdi>" in page


def test_before_and_after_are_told(admin: Browser, add: Any) -> None:
    add(action="role_changed", before="viewer", after="admin")
    add(action="thing", before={"a": 1}, after={"a": [2], "b": None})
    page = admin.get("/admin/audit").text
    assert "<bdi>只读</bdi> → <bdi>管理员</bdi>" in page
    assert "a: 1 → a: [2]; b: –" in page


def test_hostile_words_are_only_words(admin: Browser, add: Any) -> None:
    add(operator="<script>", before="<img src=x>", after={"<b>": "\u202e<i>"})
    add(subject="<u>", detail="</td><s>")
    page = admin.get("/admin/audit").text
    for tag in ("<script>", "<img src=x>", "<b>", "<i>", "<u>", "</td><s>"):
        assert tag not in page.partition("<tbody>")[2]
    assert "U+202E" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("operator=wang", {"one", "two"}),
        ("operator=WANG", set()),
        ("action=tag_added", {"two"}),
        ("subject=follower:7", {"one"}),
        ("from=2026-11-02&to=2026-11-02", {"one"}),
        ("to=2026-11-01", set()),
        ("from=2026-11-03&operator=wang", {"two"}),
        ("operator=wang&before=1", set()),
    ],
)
def test_entries_are_filtered_by_the_days_of_the_operator(
    admin: Browser, add: Any, query: str, shown: set[str]
) -> None:
    add(detail="detail-one", subject="follower:7")
    add(detail="detail-two", action="tag_added", at=NIGHT + timedelta(days=1))
    page = admin.get(f"/admin/audit?{query}").text
    assert {word for word in ("one", "two") if f"detail-{word}" in page} == shown


def test_each_condition_can_be_taken_away(admin: Browser, add: Any) -> None:
    page = admin.get("/admin/audit?action=tag_added&subject=follower:1").text
    assert "没有符合条件的记录" in page
    for words, rest in (("加标签", "subject=follower:1"), ("对象 follower:1", "action=tag_added")):
        assert f'href="/admin/audit?{rest}" title="去掉这个条件"><span>{words}</span>' in page


def test_pages_follow_each_other_without_gap_or_repetition(admin: Browser, add: Any) -> None:
    for number in range(120):
        add(detail=f"number-{number}-")
    seen: list[int] = []
    address: str | None = "/admin/audit?operator=wang"
    while address:
        page = admin.get(address).text
        seen += [number for number in reversed(range(120)) if f"number-{number}-" in page]
        older = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
        address = older.replace("&amp;", "&") if 'rel="next"' in page else None
    assert seen == list(reversed(range(120)))


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "to=2026-02-30", "from=2026-11-02&to=2026-11-01", "before=x", "before=-1", "before=²"],
)
def test_what_makes_no_sense_is_400_with_a_sentence(admin: Browser, query: str) -> None:
    answer = admin.get(f"/admin/audit?{query}")
    assert answer.status_code == 400
    assert "。</p>" in answer.text


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_the_file_has_what_the_page_has(engine: Engine, admin: Browser, add: Any) -> None:
    add(detail="=1+1", before="@SUM(A1)", after={"a": "甲"}, operator="-wang")
    answer = admin.get("/admin/audit.csv?action=alias_changed")
    assert answer.mimetype == "text/csv"
    [row] = rows(answer.text)
    assert row["at"] == "2026-11-02T01:00:00+08:00"
    assert (row["detail"], row["before"], row["operator"]) == ("'=1+1", "'@SUM(A1)", "'-wang")
    assert row["after"] == '{"a": "甲"}'
    assert audited(engine)[-1] == "audit_exported"


def test_the_file_has_every_entry(engine: Engine, admin: Browser, add: Any) -> None:
    with engine.begin() as connection:
        values = {"at": NIGHT, "operator": "wang", "action": "starred", "before": None, "after": None}
        connection.execute(insert(AuditEntry), [values | {"detail": str(number)} for number in range(2500)])
    found = rows(admin.get("/admin/audit.csv?operator=wang").text)
    assert [row["detail"] for row in found] == [str(number) for number in reversed(range(2500))]


def test_days_are_those_of_who_asks(engine: Engine, admin: Browser, add: Any) -> None:
    add(detail="detail-one")
    with engine.begin() as connection:
        connection.execute(update(Operator).values(time_zone="America/New_York"))
    assert "detail-one" in admin.get("/admin/audit?from=2026-11-01&to=2026-11-01").text
    [row] = rows(admin.get("/admin/audit.csv?operator=wang").text)
    assert row["at"] == "2026-11-01T12:00:00-05:00"


def test_only_admins_read_it(signed_in: SignIn) -> None:
    operator = signed_in(Role.OPERATOR)
    assert operator.get("/admin/audit").status_code == operator.get("/admin/audit.csv").status_code == 403
