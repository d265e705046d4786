"""Runs of an evaluation: each question is asked once, judged, stored, and compared with the run before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, Row

from tests.conftest import MakeApp
from tests.services.evaluations.fake import FakeAssistants
from wechat_bot.jobs import Job
from wechat_bot.models import EvaluationState
from wechat_bot.services.audit import Actor
from wechat_bot.services.evaluations import definitions, editing, reading
from wechat_bot.services.evaluations.definitions import Given
from wechat_bot.services.evaluations.reading import Result
from wechat_bot.services.evaluations.running import RUN_TIMEOUT, Evaluations
from wechat_bot.services.rules import editing as rules
from wechat_bot.wiring import services

ACTOR = Actor(None, "li", "")


class Bench:
    """An account with questions, and an assistant that a test writes."""

    def __init__(self, app: Flask) -> None:
        self.bot = services(app)
        self.engine: Engine = self.bot.engine
        self.account_id = self.bot.account_id
        self.assistants = FakeAssistants(几点开门="九点")
        self.enqueued: list[tuple[Job, int]] = []
        self.evaluations = Evaluations(
            self.engine, self.bot.rules, self.assistants, lambda job, row, _: self.enqueued.append((job, row))
        )

    def add(self, question: str, **expected: Any) -> int:
        case = definitions.read({"question": question, **expected})
        return editing.add(self.engine, ACTOR, self.account_id, [case])[0]

    def run(self, **draft: Any) -> Row[Any]:
        run_id = self.evaluations.start(ACTOR, self.account_id, draft)
        self.evaluations.run(run_id)
        return self.find(run_id)

    def find(self, run_id: int) -> Row[Any]:
        with self.engine.connect() as connection:
            found = reading.find_run(connection, self.account_id, run_id)
        assert found
        return found

    def results(self, run: Row[Any]) -> list[Result]:
        with self.engine.connect() as connection:
            before = reading.run_before(connection, self.account_id, run.id)
            return reading.results(connection, run.id, before.id if before else None)


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


@pytest.fixture
def bench(app: Flask) -> Bench:
    return Bench(app)


def test_all_questions_are_asked_and_judged(bench: Bench) -> None:
    bench.add("几点开门", contains=["九点"], source="pair:12")
    bench.add("几点开门", contains=["十点"])
    bench.add("你是谁", expected="unknown")
    run = bench.run()
    assert (run.state, run.total, run.done, run.passed) == (EvaluationState.DONE, 3, 3, 2)
    assert (run.profile_version, run.operator) == (7, "li")
    failed, *passed = bench.results(run)
    assert (failed.now.failures, failed.now.answer) == ([["lacks", "十点"]], "九点")
    assert [(each.now.milliseconds, each.now.tokens) for each in passed] == [(1200, 345), (0, 0)]


def test_rules_answer_without_the_model(bench: Bench) -> None:
    def add_rule(name: str, **definition: Any) -> int:
        answers = [{"kind": "text", "text": name}]
        return rules.create(
            bench.engine, ACTOR, bench.account_id, {"name": name, "answers": answers, **definition}
        ).id

    found = add_rule("退款", trigger={"type": "text"}, patterns=[{"match": "contains", "text": "退款"}])
    last = add_rule("没听懂", trigger={"type": "nothing_matched"})
    bench.add("怎么退款", expected="rule", rule=found)
    bench.add("随便", expected="rule", rule=last)
    bench.add("退款几天到")
    bench.add("几点开门")
    results = {each.case.question: each.now for each in bench.results(bench.run())}
    assert {question: row.failures for question, row in results.items()} == {
        "怎么退款": [],
        "随便": [],
        "退款几天到": [["outcome", "rule"]],
        "几点开门": [],
    }
    assert results["退款几天到"].rule_id == found
    assert bench.assistants.asked == ["几点开门"]


def test_a_run_tells_what_is_better_and_worse_than_the_run_before(bench: Bench) -> None:
    bench.add("几点开门", contains=["九点"])
    bench.add("能开发票吗", contains=["可以"])
    bench.add("怎么走", contains=["地铁"])
    bench.run()
    bench.assistants.answers |= {"几点开门": "十点", "能开发票吗": "可以", "怎么走": "坐公交"}
    run = bench.run()
    assert [(each.case.question, each.change) for each in bench.results(run)] == [
        ("几点开门", "worse"),
        ("怎么走", ""),
        ("能开发票吗", "better"),
    ]
    assert bench.results(run)[0].before.answer == "九点"


def test_a_draft_is_asked_and_kept_with_the_run(bench: Bench) -> None:
    bench.add("几点开门", contains=["喵"])
    run = bench.run(instructions="喵")
    assert (run.passed, run.draft) == (1, {"instructions": "喵"})


def test_a_run_stops_when_the_budget_is_used_up(bench: Bench) -> None:
    bench.add("几点开门")
    bench.add("能开发票吗")
    bench.add("怎么走")
    bench.assistants.answers["能开发票吗"] = Given("over_budget")
    run = bench.run()
    assert (run.state, run.error, run.done) == (EvaluationState.STOPPED, "over_budget", 1)
    assert bench.assistants.asked == ["几点开门", "能开发票吗"]


def test_a_run_that_is_stopped_or_interrupted_asks_nothing_twice(bench: Bench) -> None:
    bench.add("几点开门")
    run_id = bench.evaluations.start(ACTOR, bench.account_id, {})
    assert bench.evaluations.start(ACTOR, bench.account_id, {}) == run_id
    bench.evaluations.resume_interrupted(datetime.now(UTC))
    assert bench.enqueued == [(Job.EVALUATE, run_id)] * 2
    bench.evaluations.resume_interrupted(datetime.now(UTC) + RUN_TIMEOUT * 2)
    assert bench.enqueued == [(Job.EVALUATE, run_id)] * 3
    for _ in range(2):
        bench.evaluations.run(run_id)
    assert bench.assistants.asked == ["几点开门"]
    stopped = bench.evaluations.start(ACTOR, bench.account_id, {})
    bench.evaluations.stop(bench.account_id, stopped)
    bench.evaluations.run(stopped)
    assert bench.find(stopped).state == EvaluationState.STOPPED
    assert bench.assistants.asked == ["几点开门"]


def test_without_an_assistant_a_run_fails_with_the_reason(bench: Bench) -> None:
    bench.add("几点开门")
    evaluations = bench.bot.evaluations
    run_id = evaluations.start(ACTOR, bench.account_id, {})
    evaluations.run(run_id)
    run = bench.find(run_id)
    assert (run.state, run.error) == (EvaluationState.FAILED, "the assistant has no endpoint or no model")


def test_questions_of_another_account_are_not_asked(bench: Bench) -> None:
    case_id = bench.add("几点开门")
    with bench.engine.connect() as connection:
        assert reading.find(connection, bench.account_id + 1, case_id) is None
        assert reading.load(connection, bench.account_id + 1) == []
    with pytest.raises(editing.CaseNotFound):
        editing.remove(bench.engine, ACTOR, bench.account_id + 1, case_id)


def test_no_change_is_lost_and_no_limit_passed(bench: Bench) -> None:
    case_id = bench.add("几点开门")
    changed = definitions.read({"question": "几点关门"})
    editing.save(bench.engine, ACTOR, bench.account_id, case_id, 1, changed)
    with pytest.raises(editing.CaseConflict) as caught:
        editing.save(bench.engine, ACTOR, bench.account_id, case_id, 1, changed)
    assert (caught.value.current.version, caught.value.current.case) == (2, changed)
    with pytest.raises(editing.TooManyCases):
        editing.add(bench.engine, ACTOR, bench.account_id, [changed] * editing.MAX_CASES)
    with bench.engine.connect() as connection:
        assert len(reading.load(connection, bench.account_id)) == 1
