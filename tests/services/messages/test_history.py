"""Which messages a filter shows, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, insert, select

from tests.conftest import MakeApp, statements
from tests.hostile import HOSTILE
from tests.services.messages.journal import CATCH_ALL, NOON, Journal
from wechat_bot.database.transactions import transaction
from wechat_bot.handlers import router
from wechat_bot.models import Account, Direction, Follower, FollowerTag, MessageState, Tag
from wechat_bot.services.messages import history
from wechat_bot.services.messages.filters import FilterError, FilterProblem, MessageFilter
from wechat_bot.services.projections.projector import Projector

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


def chosen(**values: str) -> MessageFilter:
    return MessageFilter.parse({name.rstrip("_"): value for name, value in values.items()}, SHANGHAI)


def account(connection: Connection) -> int:
    return connection.scalars(select(Account.id)).one()


def ids(engine: Engine, **values: str) -> list[int]:
    Projector(engine, router).catch_up()
    with engine.connect() as connection:
        return [row.id for row in history.page(connection, account(connection), chosen(**values)).rows]


def test_each_condition_holds(journal: Journal, engine: Engine) -> None:
    one, two = journal.follower("o1"), journal.follower("o2")
    asked = journal.add("我要退款", follower_id=one, origin=CATCH_ALL)
    said = journal.add("退款请稍候", follower_id=one, direction=Direction.OUT, origin=CATCH_ALL)
    picture = journal.add("", follower_id=two, kind="image", state=MessageState.FAILED)
    tapped = journal.add("BUY", follower_id=two, kind="event", event="click", origin="")
    with transaction(engine) as connection:
        account = connection.scalar(select(Follower.account_id))
        connection.execute(insert(Tag).values(id=7, account_id=account, name="会员", colour="blue"))
        connection.execute(insert(FollowerTag).values(follower_id=two, tag_id=7))
    assert ids(engine) == [tapped, picture, said, asked]
    assert ids(engine, q="退款") == [said, asked]
    assert ids(engine, direction="out") == [said]
    assert ids(engine, direction="in", q="退款") == [asked]
    assert ids(engine, kind="image") == [picture]
    assert ids(engine, kind="image,text", direction="in") == [picture, asked]
    assert ids(engine, event="click") == [tapped]
    assert ids(engine, state="failed") == [picture]
    assert ids(engine, state="sent", q="退款") == [said]
    assert ids(engine, state="failed", q="退款") == []
    assert ids(engine, origin=CATCH_ALL) == [said, asked]
    assert ids(engine, follower=str(two)) == [tapped, picture]
    assert ids(engine, follower=str(one), q="稍候") == [said]
    assert ids(engine, follower=str(one), kind="event") == []
    assert ids(engine, tag="7") == [tapped, picture]
    assert ids(engine, tag="7", kind="event") == [tapped]
    assert ids(engine, tag="8") == []


def test_days_are_those_of_the_operator(journal: Journal, engine: Engine) -> None:
    midnight = datetime(2026, 11, 22, tzinfo=SHANGHAI)
    before = journal.add(created_at=midnight - timedelta(seconds=1))
    first = journal.add(created_at=midnight)
    last = journal.add(created_at=midnight + timedelta(hours=24) - timedelta(microseconds=1))
    after = journal.add(created_at=midnight + timedelta(hours=24))
    assert ids(engine, from_="2026-11-22", to="2026-11-22") == [last, first]
    assert ids(engine, from_="2026-11-22") == [after, last, first]
    assert ids(engine, to="2026-11-22") == [last, first, before]
    assert ids(engine, from_="2027-01-01") == []


def test_dates_count_by_the_time_of_the_platform_also_for_late_pushes(
    journal: Journal, engine: Engine
) -> None:
    journal.add(created_at=NOON)
    late = journal.add(created_at=NOON - timedelta(hours=21), received_at=NOON + timedelta(hours=1))
    for day in range(1, 10):
        journal.add(created_at=NOON + timedelta(days=day))
    assert ids(engine, from_="2026-11-21", to="2026-11-22") == [late, late - 1]
    assert ids(engine, to="2026-11-21") == [late]


def test_every_message_is_on_one_page(journal: Journal, engine: Engine) -> None:
    follower = journal.follower("o1")
    journal.add_many((f"{number} 退款" for number in range(23)), follower_id=follower)
    everything = ids(engine)
    for values in ({}, {"q": "退款"}, {"q": "退款 1"}, {"follower": str(follower)}):
        expected = ids(engine, **values)
        with engine.connect() as connection:
            downwards = list(pages(connection, chosen(**values), upwards=False))
            upwards = list(pages(connection, chosen(**values), upwards=True, after=everything[-1] - 1))
        assert [row for rows in downwards for row in rows] == expected
        assert [row for rows in reversed(upwards) for row in rows] == expected


def pages(
    connection: Connection, its: MessageFilter, *, upwards: bool, after: int | None = None
) -> Iterator[list[int]]:
    """All pages of five, followed from one to the next."""
    page = history.page(connection, account(connection), its, after=after, limit=5)
    while True:
        yield [row.id for row in page.rows]
        following = page.newer if upwards else page.older
        if following is None:
            return
        name = "after" if upwards else "before"
        page = history.page(connection, account(connection), its, **{name: following}, limit=5)


def test_the_way_back_leads_to_the_page_before(journal: Journal, engine: Engine) -> None:
    journal.add_many(["你好"] * 12)
    with engine.connect() as connection:
        first = history.page(connection, account(connection), MessageFilter(), limit=5)
        second = history.page(connection, account(connection), MessageFilter(), before=first.older, limit=5)
        back = history.page(connection, account(connection), MessageFilter(), after=second.newer, limit=5)
        beyond = history.page(connection, account(connection), MessageFilter(), before=1, limit=5)
    assert first.newer is None
    assert back.rows == first.rows
    assert back.newer is None
    assert beyond.rows == []
    assert beyond.newer == 0


def test_what_pairs_do_not_prove_is_looked_at(journal: Journal, engine: Engine) -> None:
    journal.add("款退 退款单 单号")
    right = journal.add("退款单号")
    assert ids(engine, q="退款单号") == [right]
    assert ids(engine, q='"退款 单号"') == []
    assert ids(engine, q="款退 单号 退款单") != []


def test_a_page_that_had_to_look_long_goes_on(journal: Journal, engine: Engine) -> None:
    right = journal.add("退款单号")
    journal.add_many(["退款单 款单号"] * 60)
    Projector(engine, router).catch_up()
    with engine.connect() as connection:
        page = history.page(connection, account(connection), chosen(q="退款单号"), limit=5)
        assert list(page.rows) == []
        assert page.older
        rest = history.page(connection, account(connection), chosen(q="退款单号"), before=page.older, limit=5)
    assert [row.id for row in rest.rows] == [right]


def test_facets_count_the_values_of_what_matches(journal: Journal, engine: Engine) -> None:
    journal.add_many(["退款单号"] * 3)
    journal.add("退款单号", direction=Direction.OUT)
    journal.add("BUY", kind="event", event="click")
    Projector(engine, router).catch_up()
    with engine.connect() as connection:
        everything = history.facets(connection, account(connection), MessageFilter())
        found = history.facets(connection, account(connection), chosen(q="退款单号"))
        pair = history.facets(connection, account(connection), chosen(q="退款"))
    assert (everything.total, everything.capped) == (5, False)
    assert everything.counts["direction"] == {"in": 4, "out": 1}
    assert everything.counts["kind"] == {"text": 4, "event": 1}
    assert everything.counts["event"] == {"": 4, "click": 1}
    assert found.counts["state"] == pair.counts["state"] == {"answered": 3, "sent": 1}


@pytest.mark.parametrize(
    ("values", "messages", "expected"),
    [
        ({}, 12, (10, True, True)),
        ({"q": "退款"}, 4, (4, False, True)),
        ({"q": "退款"}, 12, (10, True, True)),
        ({"follower": "1"}, 4, (4, False, True)),
        ({"follower": "1", "q": "退款"}, 4, (4, False, True)),
        ({"follower": "1", "direction": "in"}, 4, (3, True, True)),
        ({"from_": "2026-11-01", "q": "退款"}, 4, (3, True, True)),
        ({"q": "退款单号"}, 4, (2, True, True)),
        ({"q": "退款"}, 2, (2, False, False)),
    ],
)
def test_no_more_than_the_bounds_are_counted(
    journal: Journal,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, str],
    messages: int,
    expected: tuple[int, bool, bool],
) -> None:
    for name, bound in {"MAX_COUNT": 10, "MAX_COUNT_SCATTERED": 3, "MAX_COUNT_READ": 2}.items():
        monkeypatch.setattr(history, name, bound)
    follower = journal.follower("o1")
    assert follower == 1
    journal.add_many(["退款单号"] * messages, follower_id=follower)
    Projector(engine, router).catch_up()
    with engine.connect() as connection:
        facets = history.facets(connection, account(connection), chosen(**values))
    assert (facets.total, facets.capped, facets.partial) == expected
    assert sum(facets.counts["kind"].values()) <= facets.total


def test_the_window_counts_all_when_nothing_is_before_it(
    journal: Journal, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "ENOUGH", 1)
    journal.add_many(["退款"] * 20)
    Projector(engine, router).catch_up()
    with engine.connect() as connection:
        whole = history.facets(connection, account(connection), chosen(q="退款"))
        monkeypatch.setattr(history, "WINDOW", 4)
        part = history.facets(connection, account(connection), chosen(q="退款"))
    assert (whole.total, whole.capped, whole.partial) == (20, False, False)
    windowed = engine.dialect.name == "postgresql"
    assert (part.total, part.capped, part.partial) == ((5, True, True) if windowed else (20, False, False))


def test_neighbours_are_those_of_the_thread(journal: Journal, engine: Engine) -> None:
    one, two = journal.follower("o1"), journal.follower("o2")
    added = [journal.add(str(number), follower_id=(one, two)[number % 2]) for number in range(20)]
    report = journal.add("", kind="event", event="masssendjobfinish")
    with engine.connect() as connection:
        assert [row.id for row in history.around(connection, account(connection), added[8])] == added[2:15:2]
        assert [row.id for row in history.around(connection, account(connection), added[0])] == added[0:7:2]
        assert [row.id for row in history.around(connection, account(connection), report)] == [report]


def test_a_thread_is_entered_at_a_message_or_a_day(journal: Journal, engine: Engine) -> None:
    follower = journal.follower("o1")
    start = datetime(2026, 11, 1, 8, tzinfo=SHANGHAI)
    added = [journal.add(follower_id=follower, created_at=start + timedelta(days=day)) for day in range(20)]
    Projector(engine, router).catch_up()
    with engine.connect() as connection:

        def shown(**where: Any) -> tuple[list[int], bool, bool]:
            page = history.conversation_page(
                connection, account(connection), follower, limit=4, zone=SHANGHAI, **where
            )
            return [row.id for row in page.rows], page.older is not None, page.newer is not None

        assert shown() == (added[:-5:-1], True, False)
        assert shown(at=added[10]) == ([added[n] for n in (12, 11, 10, 9, 8)], True, True)
        assert shown(day=date(2026, 11, 5)) == ([added[n] for n in (7, 6, 5, 4)], True, True)
        assert shown(day=date(2027, 1, 1)) == (added[:-5:-1], True, False)
        assert shown(day=date(1, 1, 1))[0] == [added[n] for n in (3, 2, 1, 0)]
        assert shown(day=date.max)[0] == added[:-5:-1]


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({"q": "退" * 201}, "q", FilterProblem.TOO_LONG),
        ({"direction": "up"}, "direction", FilterProblem.UNKNOWN),
        ({"state": "happy"}, "state", FilterProblem.UNKNOWN),
        ({"kind": "te\x00xt"}, "kind", FilterProblem.UNKNOWN),
        ({"origin": "x" * 300}, "origin", FilterProblem.TOO_LONG),
        ({"follower": "²"}, "follower", FilterProblem.NO_NUMBER),
        ({"tag": "9" * 19}, "tag", FilterProblem.NO_NUMBER),
        ({"from_": "2026-02-30"}, "from", FilterProblem.NO_DATE),
        ({"to": "0001-01-01"}, "to", FilterProblem.NO_DATE),
        ({"from_": "2026-11-02", "to": "2026-11-01"}, "to", FilterProblem.REVERSED),
    ],
)
def test_a_filter_that_makes_no_sense_says_why(
    values: dict[str, str], field: str, reason: FilterProblem
) -> None:
    with pytest.raises(FilterError) as caught:
        chosen(**values)
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_any_text_may_be_looked_for(journal: Journal, engine: Engine) -> None:
    journal.add("你好")
    Projector(engine, router).catch_up()
    with engine.connect() as connection:
        for text in HOSTILE.values():
            history.page(connection, account(connection), chosen(q=text[:200]))
            history.facets(connection, account(connection), chosen(q=text[:200]))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"q": "退款"},
        {"q": "退款单号"},
        {"kind": "link", "direction": "in"},
        {"follower": "1", "q": "退款"},
        {"from_": "2026-11-22", "to": "2026-11-22", "q": "退款"},
        {"state": "failed", "q": "退款"},
        {"tag": "1"},
    ],
)
@pytest.mark.parametrize("window", [10, 10_000])
def test_a_page_takes_few_statements(
    journal: Journal, engine: Engine, monkeypatch: pytest.MonkeyPatch, window: int, values: dict[str, str]
) -> None:
    monkeypatch.setattr(history, "MAX_COUNT_SCATTERED", 100)
    monkeypatch.setattr(history, "WINDOW", window)
    journal.add_many(["退款单号"] * 120)
    digest = Projector(engine, router)
    digest.catch_up()
    with statements() as sent:
        digest.catch_up()
        with engine.connect() as connection:
            history.page(connection, account(connection), chosen(**values))
            history.facets(connection, account(connection), chosen(**values))
    counts_tagged = 2 if "tag" in values else 0
    assert len(sent) <= 5 + counts_tagged, sent
