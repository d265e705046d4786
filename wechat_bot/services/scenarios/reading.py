"""Reads the scenarios of an account and their last results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from ...models import ScenarioResult, StoredScenario
from ...simulator import scenarios
from ...simulator.scenarios import Obstacle, Scenario, Step, StepResult
from ..rules.reading import set_version


@dataclass(frozen=True)
class Results:
    """What the steps of a scenario were answered."""

    steps: Sequence[StepResult]

    @property
    def failed(self) -> int:
        return sum(each.failed for each in self.steps)

    @property
    def untold(self) -> int:
        """Steps of which it cannot be told whether they pass."""
        return sum(each.obstacle is not None for each in self.steps)

    @property
    def passed(self) -> bool:
        return all(each.passed for each in self.steps)


@dataclass(frozen=True)
class LastResults(Results):
    """The last results with the saved rules."""

    at: datetime
    operator: str
    is_old: bool
    """Whether rules have changed since."""


@dataclass(frozen=True)
class ScenarioEntry:
    """A scenario as it is stored."""

    id: int
    version: int
    scenario: Scenario
    last: LastResults | None = None
    """None if it was not played since it was changed."""


def load(connection: Connection, account_id: int) -> list[ScenarioEntry]:
    """Return the scenarios of an account, in the order in which they were made."""
    rules_version = set_version(connection, account_id)
    found = connection.execute(_entries(account_id).order_by(StoredScenario.id))
    return [_entry(row, rules_version) for row in found]


def find(connection: Connection, account_id: int, scenario_id: int) -> ScenarioEntry | None:
    """Return a scenario of an account, or None."""
    row = connection.execute(_entries(account_id).where(StoredScenario.id == scenario_id)).one_or_none()
    return _entry(row, set_version(connection, account_id)) if row else None


def _entries(account_id: int) -> Select[Any]:
    columns = StoredScenario.id, StoredScenario.version, StoredScenario.definition
    result = (getattr(ScenarioResult, name) for name in ("rules_version", "at", "operator", "steps"))
    of_account = StoredScenario.account_id == account_id
    joined = select(*columns, *result).outerjoin(
        ScenarioResult, ScenarioResult.scenario_id == StoredScenario.id
    )
    return joined.where(of_account)


def _entry(row: Row[Any], rules_version: int) -> ScenarioEntry:
    scenario = scenarios.read(row.definition)
    last = None
    if row.at:
        steps = tuple(map(_result, scenario.steps, row.steps))
        last = LastResults(steps, row.at, row.operator, row.rules_version != rules_version)
    return ScenarioEntry(row.id, row.version, scenario, last)


def stored(result: StepResult) -> dict[str, Any]:
    """Return the result of a step as JSON, for `ScenarioResult.steps`."""
    names = ("outcome", "text", "by", "rule_id", "obstacle")
    return {name: getattr(result, name) for name in names}


def _result(step: Step, values: Mapping[str, Any]) -> StepResult:
    obstacle = values["obstacle"]
    return StepResult(step, **{**values, "obstacle": Obstacle(obstacle) if obstacle else None})
