"""Asks the questions of an account's evaluation, in a job of the worker or on the command line.

A run belongs to no follower. What it costs counts towards the budget of the day; it stops when that is used
up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Engine, Row, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction, write
from ...jobs import Enqueue, Job
from ...models import EvaluationResult, EvaluationRun, EvaluationState
from ...models.columns import storable
from ...models.rows import new_row
from ...routing import Context, strict_json
from ...routing.rules import RuleSet, rule_of
from ...wechat.messages import Message
from ...wechat.parsing import parse
from .. import audit
from ..accounts import locked_account
from ..audit import Actor
from ..rules.rule_book import RuleBook
from .definitions import Case, Expected, Given, judge
from .reading import CaseEntry, load

RUN_TIMEOUT = timedelta(minutes=15)
"""How long a run may take for one question before it counts as interrupted."""
OVER_BUDGET = "over_budget"
"""The assistant's outcome when the budget of the day is used up."""

Ask = Callable[[str], Given]
"""Asks the assistant a question."""


class Unavailable(Exception):
    """The assistant cannot be asked; the text says why."""


class Assistants(Protocol):
    """The assistants of accounts, as evaluations use them."""

    def prepare(self, account_id: int, draft: Mapping[str, Any]) -> tuple[int, Ask]:
        """Return the version of the saved profile, and what asks the assistant with the fields of a draft.

        :raises InvalidDefinition: if the profile is not valid with the draft.
        :raises Unavailable: if there is no model.
        """


class Evaluations:
    """Runs the questions of accounts."""

    def __init__(self, engine: Engine, rules: RuleBook, assistants: Assistants, enqueue: Enqueue) -> None:
        self._engine = engine
        self._rules = rules
        self._assistants = assistants
        self._enqueue = enqueue

    def start(self, actor: Actor, account_id: int, draft: Mapping[str, Any]) -> int:
        """Let a worker ask all questions, unless one does so, and return the id of the run.

        :raises InvalidDefinition: if the draft is not valid.
        """
        run_id = self.begin(actor, account_id, draft)
        self._enqueue(Job.EVALUATE, run_id, 0)
        return run_id

    @retry_conflicts
    def begin(self, actor: Actor, account_id: int, draft: Mapping[str, Any]) -> int:
        """Store a new run, unless one is going on, and return the id of either.

        :raises InvalidDefinition: if the draft is not valid.
        """
        if draft:
            self._assistants.prepare(account_id, draft)
        now = database_now()
        with locked_account(self._engine, account_id) as connection:
            running = select(EvaluationRun.id).where(
                EvaluationRun.account_id == account_id, EvaluationRun.state == EvaluationState.RUNNING
            )
            if run_id := connection.scalar(running):
                return run_id
            who = {"operator_id": actor.operator_id, "operator": actor.name[:64]}
            times = {"started_at": now, "seen_at": now}
            row = new_row(EvaluationRun, account_id=account_id, draft=dict(draft), **who, **times)
            [run_id] = connection.execute(insert(EvaluationRun), row).inserted_primary_key or (0,)
            audit.record(connection, actor, "evaluation_started", f"evaluation:{run_id}", after=dict(draft))
            return int(run_id)

    def stop(self, account_id: int, run_id: int) -> None:
        """End a run before its next question."""
        this = EvaluationRun.account_id == account_id, EvaluationRun.id == run_id
        running = EvaluationRun.state == EvaluationState.RUNNING
        stopped = update(EvaluationRun).where(*this, running)
        write(self._engine, stopped.values(state=EvaluationState.STOPPED, seen_at=database_now()))

    def resume_interrupted(self, now: datetime) -> None:
        """Let workers continue the runs that were interrupted."""
        late = EvaluationRun.state == EvaluationState.RUNNING, EvaluationRun.seen_at < now - RUN_TIMEOUT
        with self._engine.connect() as connection:
            found = connection.scalars(select(EvaluationRun.id).where(*late)).all()
        for run_id in found:
            self._update(run_id)
            self._enqueue(Job.EVALUATE, run_id, 0)

    def run(self, run_id: int) -> None:
        """Ask the questions of a run that it has not asked yet."""
        run = self._find(run_id)
        with self._engine.connect() as connection:
            entries = load(connection, run.account_id)
            asked = select(EvaluationResult.case_id).where(EvaluationResult.run_id == run_id)
            known = set(connection.scalars(asked))
        if run.state != EvaluationState.RUNNING:
            return
        self._update(run_id, total=len(entries))
        try:
            answerer = _Answerer(self._rules, self._assistants, run)
            for entry in entries:
                if entry.id not in known and not self._ask(run_id, answerer, entry):
                    return
        except (Unavailable, strict_json.InvalidDefinition) as error:
            self._update(run_id, state=EvaluationState.FAILED, error=str(error)[:255])
        else:
            self._update(run_id, state=EvaluationState.DONE, profile_version=answerer.profile_version)

    def _ask(self, run_id: int, answerer: _Answerer, entry: CaseEntry) -> bool:
        """Ask a question; return whether the run goes on."""
        if self._find(run_id).state != EvaluationState.RUNNING:
            return False
        given = answerer.answer(entry.case)
        if given.outcome == OVER_BUDGET:
            self._update(run_id, state=EvaluationState.STOPPED, error=OVER_BUDGET)
            return False
        self._store(run_id, entry, given)
        return True

    @retry_conflicts
    def _store(self, run_id: int, entry: CaseEntry, given: Given) -> None:
        """Store what a question was answered, unless another worker has."""
        failures = judge(entry.case, given)
        this = EvaluationResult.run_id == run_id, EvaluationResult.case_id == entry.id
        row = new_row(
            EvaluationResult,
            run_id=run_id,
            case_id=entry.id,
            definition=strict_json.to_json(entry.case),
            failures=[[str(failure), detail] for failure, detail in failures],
            outcome=given.outcome[:16],
            answer=storable(given.text),
            rule_id=given.rule_id,
            passages=list(given.passages),
            milliseconds=given.milliseconds,
            tokens=given.tokens,
        )
        counted: dict[str, Any] = {"done": EvaluationRun.done + 1, "seen_at": database_now()}
        if not failures:
            counted["passed"] = EvaluationRun.passed + 1
        with transaction(self._engine) as connection:
            if connection.execute(select(EvaluationResult.run_id).where(*this)).one_or_none() is None:
                connection.execute(insert(EvaluationResult), row)
                connection.execute(update(EvaluationRun).where(EvaluationRun.id == run_id).values(counted))

    def _find(self, run_id: int) -> Row[Any]:
        with self._engine.connect() as connection:
            found = select(EvaluationRun.__table__).where(EvaluationRun.id == run_id)
            return connection.execute(found).one()

    def _update(self, run_id: int, **values: Any) -> None:
        this = EvaluationRun.id == run_id, EvaluationRun.state == EvaluationState.RUNNING
        write(self._engine, update(EvaluationRun).where(*this).values(seen_at=database_now(), **values))


class _Answerer:
    """Answers questions as followers get them answered: by the rules, and else by the assistant."""

    def __init__(self, rules: RuleBook, assistants: Assistants, run: Row[Any]) -> None:
        _version, self._rules = rules.latest(run.account_id)
        self._assistants = assistants
        self._run = run
        self._ask: Ask | None = None
        self.profile_version = 0

    def answer(self, case: Case) -> Given:
        """Return what becomes of a question. No model is asked where a rule is expected.

        :raises Unavailable: if there is no model.
        """
        rule_id = _rule_that_answers(self._rules, case)
        if rule_id is not None or case.expected is Expected.RULE:
            return Given("rule" if rule_id else "", rule_id=rule_id)
        if self._ask is None:
            self.profile_version, self._ask = self._assistants.prepare(self._run.account_id, self._run.draft)
        return self._ask(case.question)


def _rule_that_answers(rules: RuleSet, case: Case) -> int | None:
    """Return the rule that takes a question of a new follower before the model does.

    One that answers because nobody else does counts only where a rule is expected.
    """
    message, ctx = _message(case.question), Context(rules=rules)
    route = rules.find(message, ctx)
    if case.expected is Expected.RULE:
        route = route or rules.find(message, ctx, last=True)
    elif route and route.catch_all:
        route = None
    return rule_of(route.name) if route else None


def _message(question: str) -> Message:
    head = {"ToUserName": "gh_evaluation", "FromUserName": "oEvaluation", "CreateTime": "0", "MsgId": "1"}
    return parse({**head, "MsgType": "text", "Content": question})
