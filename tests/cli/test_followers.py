"""``flask wechat sync``, as an owner uses it."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import Follower
from wechat_bot.simulator.state import SimulatedFollower as Played
from wechat_bot.testing import FakeAPI, SimulatedAccount
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wiring import services

INFO = "/cgi-bin/user/info/batchget"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    with api.store.opened() as state:
        state.followers = {f"o{n:03}": Played(f"o{n:03}", subscribe_time=1_700_000_000) for n in range(150)}
    return make_app(api=api, wechat_app_secret=APP_SECRET)


def run(app: Flask, *options: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["wechat", "sync", *options])
    return result.exit_code, result.output


def test_all_followers_are_fetched(app: Flask) -> None:
    assert run(app) == (0, "150 followers are synchronised.\n")
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Follower)) == 150


def test_a_record_that_makes_no_sense_is_named(app: Flask, api: FakeAPI) -> None:
    with api.store.opened() as state:
        state.followers["o041"].subscribe_scene = {}  # type: ignore[assignment]
    status, output = run(app)
    assert (status, output.splitlines()) == (
        0,
        ["150 followers are synchronised.", "Records of the platform that make no sense were left out: o041"],
    )


def test_the_name_of_such_a_record_does_nothing_to_the_terminal(app: Flask, api: FakeAPI) -> None:
    with api.store.opened() as state:
        state.followers["o\x9b2J"] = Played("o\x9b2J", subscribe_scene={})  # type: ignore[arg-type]
    assert "left out: o\\u009b2J" in run(app)[1]


def test_a_refusal_is_one_sentence_and_resume_goes_on(app: Flask, api: FakeAPI) -> None:
    api.errcodes[INFO] = [45009]
    status, output = run(app)
    assert status == 1
    assert output.startswith("Error: 0 of 0 followers, then: 45009 ")
    assert len(output.splitlines()) == 1
    client = services(app).client
    assert client
    client.system.resume()  # the next day
    assert run(app, "--resume") == (0, "150 followers are synchronised.\n")
    assert run(app, "--resume") == (1, "Error: There is nothing to go on with: leave out --resume.\n")


def test_an_account_that_may_not_is_told_so(app: Flask, api: FakeAPI) -> None:
    with api.store.opened() as state:
        state.account = SimulatedAccount(AccountKind.UNVERIFIED_SUBSCRIPTION)
    status, output = run(app)
    assert status == 1
    assert "48001" in output
    assert run(app) == (
        1,
        "Error: The account may not list its followers (learned): see flask wechat doctor.\n",
    )


def test_without_an_app_secret_there_is_no_list(make_app: MakeApp) -> None:
    status, output = run(make_app())
    assert (status, "no_secret" in output) == (1, True)
