"""``flask wechat scenarios``, for continuous integration."""

from __future__ import annotations

from flask import Flask

from wechat_bot.extensions import db
from wechat_bot.services.audit import Actor
from wechat_bot.services.scenarios import editing, reading
from wechat_bot.simulator import scenarios
from wechat_bot.wiring import services


def run(app: Flask, steps: str) -> tuple[int, str]:
    with app.app_context():
        stored = scenarios.load_all(f"name: 帮助\nsteps: [{steps}]")
        editing.add(db.engine, Actor(None, "", ""), services().account_id, stored)
    shown = app.test_cli_runner().invoke(args=["wechat", "scenarios"])
    return shown.exit_code, shown.output


def test_the_stored_ones_are_played_and_their_results_are_stored(app: Flask) -> None:
    assert run(app, "{send: 帮助, expect: {contains: 改名}}") == (0, "帮助\n  ✓ send 帮助\n")
    with app.app_context():
        [entry] = reading.load(db.session.connection(), services().account_id)
    assert entry.last
    assert (entry.last.passed, entry.last.operator) == (True, "command line")


def test_a_difference_is_shown_and_fails(app: Flask) -> None:
    code, shown = run(app, "{send: 改名, expect: 你是谁}, {send: 小明}")
    assert code == 1
    assert "✗ send 改名" in shown
    assert "expected text '你是谁', got text: '怎么称呼你？" in shown
    assert "✓ send 小明" in shown


def test_what_cannot_be_played_is_said_and_fails(app: Flask) -> None:
    code, shown = run(app, "{send: 慢}")
    assert code == 1
    assert "? send 慢\n    Not played: " in shown
