"""The number and the size of scenarios have limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from wechat_bot.extensions import db
from wechat_bot.services.audit import Actor
from wechat_bot.services.scenarios import editing, reading
from wechat_bot.services.scenarios.editing import Limit, ScenarioRefused
from wechat_bot.simulator.scenarios import Scenario, Step, action
from wechat_bot.wiring import services

HELP = Scenario("帮助", (Step(action("send", "帮助")),))


@pytest.mark.parametrize(
    ("added", "limit"),
    [
        ([replace(HELP, name=" ")], Limit.NAME),
        ([replace(HELP, name="x" * 65)], Limit.NAME),
        ([replace(HELP, steps=())], Limit.NO_STEPS),
        ([replace(HELP, steps=HELP.steps * 101)], Limit.STEPS),
        ([replace(HELP, steps=(Step(action("send", "x" * 70_000)),))], Limit.BYTES),
        ([HELP] * 201, Limit.SCENARIOS),
        ([replace(HELP, steps=HELP.steps * 100)] * 11, Limit.ALL_STEPS),
    ],
)
def test_what_is_beyond_a_limit_is_refused_as_a_whole(
    app: Flask, added: list[Scenario], limit: Limit
) -> None:
    with app.app_context():
        with pytest.raises(ScenarioRefused) as refused:
            editing.add(db.engine, Actor(None, "", ""), services(app).account_id, added)
        assert refused.value.limit is limit
        with db.engine.connect() as connection:
            assert reading.load(connection, services(app).account_id) == []
