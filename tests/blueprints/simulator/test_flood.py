"""The page of a flood: what followers get is counted, drawn and put into words."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.blueprints.simulator.conftest import MakeSimulator, Simulator, text_of
from tests.blueprints.simulator.test_access import sign_in
from tests.blueprints.simulator.test_phone import Scripts
from tests.waiting import PATIENCE
from wechat_bot.models import Role
from wechat_bot.routing import Answer, Context, Router, keyword
from wechat_bot.settings import Switch
from wechat_bot.simulator.flood_run import DEAD_SECONDS, FloodFile, FloodRun
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.messages import TextMessage

PLAN = {"followers": "3", "text": "慢", "per_second": "0"}


class Bot:
    """A bot that answers 慢 when it is let, and anything else at once."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.router = Router()

        @self.router.on(TextMessage, keyword("慢"), slow=True)
        def think(message: TextMessage, ctx: Context) -> Answer:
            assert self.go_on.wait(PATIENCE)
            return "想好了"

        @self.router.on(TextMessage)
        def answer(message: TextMessage, ctx: Context) -> Answer:
            return "好"


@pytest.fixture
def bot() -> Bot:
    return Bot()


def page(simulator: Simulator) -> str:
    return simulator.client.get("/simulator/flood").text


def flood_file(simulator: Simulator) -> FloodFile:
    return FloodFile(Path(simulator.app.instance_path) / "simulator")


def wait(simulator: Simulator, until: Callable[[FloodRun], bool]) -> None:
    pause = threading.Event()
    while not ((run := flood_file(simulator).read()) and until(run)):
        pause.wait(0.02)


def has_ended(run: FloodRun) -> bool:
    return not run.is_running


def last_row(page: str) -> list[str]:
    return text_of(page.rpartition('<th scope="row">')[2].partition("</tr>")[0]).split()


def test_those_who_are_answered_are_counted(make_simulator: MakeSimulator, bot: Bot) -> None:
    simulator = make_simulator(bot.router)
    bot.go_on.set()
    simulator.post("flood", **PLAN)
    wait(simulator, has_ended)
    shown = page(simulator)
    assert "3 人同时提问：3 人得到回答，0 人收到客服消息" in shown
    assert last_row(shown)[1:7] == ["3", "0", "0", "0", "0", "0"]
    last_column = shown.rpartition("<g>")[2].partition("</g>")[0]
    assert re.findall(r'<rect class="fate (\w+)"', last_column) == ["answered"]


def test_those_who_wait_are_shown_while_they_do_and_others_are_answered(
    make_simulator: MakeSimulator, bot: Bot
) -> None:
    simulator = make_simulator(bot.router, wechat_customer_service=Switch.NO)
    shown = simulator.post("flood", **PLAN | {"per_second": "20"})
    assert 'http-equiv="refresh"' in shown, "without JavaScript"
    assert re.search(r"<progress [^>]*value=\"0\"", shown)
    wait(simulator, lambda run: len(run.ordinary) >= 3)
    assert last_row(page(simulator))[6] == "3"
    bot.go_on.set()
    wait(simulator, has_ended)
    shown = page(simulator)
    sent = re.search(r"其间的普通消息 (\d+) 条，最慢 [\d.]+ 秒，0 条得到故障提示", shown)
    assert sent
    assert shown.count('class="dot"') == int(sent[1]) >= 3
    assert 'http-equiv="refresh"' not in shown


def test_late_answers_of_customer_service_are_counted(make_simulator: MakeSimulator, bot: Bot) -> None:
    verified = {"wechat_account_kind": AccountKind.VERIFIED_SERVICE}
    simulator = make_simulator(bot.router, **verified, wechat_answer_seconds=0.2)
    simulator.post("flood", **PLAN)
    wait(simulator, has_ended)
    assert "3 人还没有回复" in page(simulator)
    assert 'http-equiv="refresh"' in page(simulator), "because messages may still come"
    bot.go_on.set()
    pause = threading.Event()
    while "3 人收到客服消息" not in page(simulator):
        pause.wait(0.05)
    assert last_row(page(simulator))[1:7] == ["0", "3", "0", "0", "0", "0"]


def test_failures_are_counted_with_their_reason(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator(wechat_message_mode="safe")
    simulator.post("choices", mode="plain")
    simulator.post("flood", **PLAN)
    wait(simulator, has_ended)
    shown = page(simulator)
    assert "3 人看到故障提示" in shown
    assert "status 403 × 3" in text_of(shown).replace("  ", " ")


@pytest.mark.parametrize(
    "wrong",
    [
        {"followers": "0"},
        {"followers": "4001"},
        {"followers": "many"},
        {"text": " "},
        {"text": "慢" * 601},
        {"per_second": "-1"},
        {"per_second": "21"},
        {"per_second": ""},
    ],
)
def test_what_is_out_of_bounds_is_refused(simulator: Simulator, wrong: dict[str, str]) -> None:
    assert simulator.client.post("/simulator/flood", data=PLAN | wrong).status_code == 400
    assert flood_file(simulator).read() is None


def test_one_flood_runs_at_a_time_and_can_be_stopped(make_simulator: MakeSimulator, bot: Bot) -> None:
    simulator = make_simulator(bot.router, wechat_customer_service=Switch.NO)
    simulator.post("flood", **PLAN)
    assert 'id="start"' not in page(simulator)
    assert simulator.client.post("/simulator/flood", data=PLAN).status_code == 409
    simulator.post("flood/stop")
    wait(simulator, has_ended)
    shown = page(simulator)
    assert "高峰被停止，3 人没有等到结果。" in shown
    assert 'id="start"' in shown
    bot.go_on.set()
    simulator.post("flood", **PLAN | {"followers": "2"})
    wait(simulator, has_ended)
    assert "2 人同时提问：2 人得到回答" in page(simulator)


def test_a_flood_whose_process_was_killed_does_not_run_for_ever(simulator: Simulator) -> None:
    plan = {"followers": 3, "text": "慢"}
    folder = Path(simulator.app.instance_path) / "simulator"
    folder.mkdir(parents=True, exist_ok=True)
    head = json.dumps({"plan": plan, "began": time.time() - DEAD_SECONDS})
    (folder / "flood.jsonl").write_text(f'{head}\n["question", {{"open')
    shown = page(simulator)
    assert 'id="start"' in shown
    assert "高峰被停止，3 人没有等到结果。" in shown


def test_the_latest_flood_stays_until_everything_is_cleared(make_simulator: MakeSimulator, bot: Bot) -> None:
    simulator = make_simulator(bot.router)
    bot.go_on.set()
    assert "人同时提问：" not in page(simulator)
    simulator.post("flood", **PLAN)
    wait(simulator, has_ended)
    assert "3 人同时提问：" in page(simulator)
    simulator.post("reset")
    assert "人同时提问：" not in page(simulator)


def test_the_text_is_escaped(make_simulator: MakeSimulator, bot: Bot) -> None:
    simulator = make_simulator(bot.router)
    simulator.post("flood", **PLAN | {"text": "\"><script>alert(1)</script><img src=x onerror='alert(1)'>"})
    wait(simulator, has_ended)
    parser = Scripts()
    parser.feed(page(simulator))
    assert parser.found == []
    assert "3 人得到回答" in page(simulator)


def test_only_those_who_may_use_the_simulator_start_a_flood(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator(host="0.0.0.0")
    for answer in (
        simulator.client.get("/simulator/flood"),
        simulator.client.post("/simulator/flood", data=PLAN),
        simulator.client.post("/simulator/flood/stop"),
    ):
        assert answer.status_code == 303
        assert "/admin/sign-in" in answer.headers["Location"]
    viewer = sign_in(simulator, Role.VIEWER)
    assert viewer.get("/simulator/flood").status_code == 403
    assert viewer.post("/simulator/flood", data=PLAN).status_code == 403
    assert sign_in(simulator, Role.OPERATOR).get("/simulator/flood").status_code == 200
    assert flood_file(simulator).read() is None


@pytest.mark.parametrize("path", ["flood", "flood/stop"])
def test_other_sites_can_neither_start_nor_stop_a_flood(simulator: Simulator, path: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = simulator.client.post(f"/simulator/{path}", headers=headers, data=PLAN)
    assert answer.status_code == 403
