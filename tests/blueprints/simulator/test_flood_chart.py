"""The figures of a flood, second by second."""

from __future__ import annotations

import pytest

from wechat_bot.blueprints.simulator.flood_chart import Fate, draw
from wechat_bot.simulator.flood import Outcome, Result
from wechat_bot.simulator.flood_run import FloodPlan, FloodRun


def result(openid: str, outcome: Outcome, seconds: float, started: float = 0.0) -> Result:
    return Result(
        openid=openid,
        text="慢",
        outcome=outcome,
        reply=None,
        problem="",
        seconds=seconds,
        pushes=1,
        started=started,
    )


RUN = FloodRun(
    FloodPlan(followers=6, text="慢"),
    began=1000.0,
    questions=[
        result("a", Outcome.ANSWERED, 0.5),
        result("b", Outcome.FETCH, 1.0, started=0.5),
        result("c", Outcome.SILENT, 0.2),
        result("d", Outcome.SILENT, 0.2),
        result("e", Outcome.NOTICE, 2.5),
    ],
    ordinary=[
        result("f", Outcome.ANSWERED, 0.1, started=0.2),
        result("g", Outcome.ANSWERED, 0.3, started=0.4),
        result("h", Outcome.NOTICE, 6.0, started=1.0),
    ],
)


def counts(second: int) -> dict[Fate, int]:
    chart = draw(RUN, {"c": 1.5}, now=1002.7)
    return {fate: count for fate, count in chart.seconds[second - 1].counts.items() if count}


def test_everybody_is_counted_in_each_second() -> None:
    assert counts(1) == {Fate.ANSWERED: 1, Fate.SILENT: 2, Fate.WAITING: 3}
    assert counts(2) == {Fate.ANSWERED: 1, Fate.LATE: 1, Fate.FETCH: 1, Fate.SILENT: 1, Fate.WAITING: 2}
    assert counts(3) == counts(2) | {Fate.NOTICE: 1, Fate.WAITING: 1}


def test_ordinary_messages_belong_to_the_second_in_which_they_were_sent() -> None:
    chart = draw(RUN, {}, now=1002.7)
    assert [len(second.ordinary) for second in chart.seconds] == [2, 1, 0]
    assert [second.slowest for second in chart.seconds] == [0.3, 6.0, None]
    assert [second.notices for second in chart.seconds] == [0, 1, 0]
    assert (chart.total.slowest, chart.total.notices, chart.scale) == (6.0, 1, 10)


def test_the_blocks_of_a_second_fill_the_height_from_the_bottom() -> None:
    chart = draw(RUN, {}, now=1002.7)
    blocks = list(chart.stack(chart.seconds[0], height=60))
    assert blocks == [(Fate.ANSWERED, 50, 10), (Fate.SILENT, 30, 20), (Fate.WAITING, 0, 30)]


@pytest.mark.parametrize(("now", "seconds"), [(1000.0, 3), (1007.2, 8), (1040.0, 40)])
def test_the_picture_grows_while_somebody_waits(now: float, seconds: int) -> None:
    chart = draw(RUN, {}, now)
    assert len(chart.seconds) == seconds
    assert chart.span == max(15, seconds)


def test_a_flood_that_has_just_begun_has_a_picture() -> None:
    chart = draw(FloodRun(FloodPlan(2, "慢"), began=1000.0), {}, now=1000.0)
    assert [dict(second.counts)[Fate.WAITING] for second in chart.seconds] == [2]
