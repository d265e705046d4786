"""Changes the scenarios of an account: each change in one transaction with the audit log.

A change locks the account first, so that the changes of one account wait for each other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import Connection, Engine, delete, insert, update

from ...database.transactions import retry_conflicts
from ...models import ScenarioResult, StoredScenario
from ...simulator import scenarios
from ...simulator.scenarios import Scenario
from .. import audit
from ..accounts import locked_account
from ..audit import Actor
from .reading import ScenarioEntry, find, load

MAX_SCENARIOS = 200
MAX_ALL_STEPS = 1000
"""Upper limits of an account, so that playing all takes about a second."""
MAX_STEPS = 100
MAX_NAME = 64
MAX_BYTES = 64 << 10
"""Upper limits of a scenario; the bytes are those of its JSON."""


class Limit(StrEnum):
    """What a scenario or an account has too much or too little of."""

    NAME = "name"
    NO_STEPS = "no_steps"
    STEPS = "steps"
    BYTES = "bytes"
    SCENARIOS = "scenarios"
    ALL_STEPS = "all_steps"


class ScenarioRefused(Exception):
    """A scenario, or the account with it, is beyond a limit; nothing was written."""

    def __init__(self, limit: Limit, scenario: Scenario) -> None:
        super().__init__(f"{scenario.name}: {limit}")
        self.limit = limit
        self.scenario = scenario


class ScenarioNotFound(LookupError):
    """The account has no such scenario."""


class ScenarioConflict(Exception):
    """Somebody else has changed the scenario meanwhile; nothing was written."""

    def __init__(self, current: ScenarioEntry) -> None:
        super().__init__(f"scenario {current.id} has version {current.version} by now")
        self.current = current


@retry_conflicts
def add(engine: Engine, actor: Actor, account_id: int, added: Sequence[Scenario]) -> list[int]:
    """Add scenarios, and return their ids.

    :raises ScenarioRefused: if one is beyond a limit; none is added then.
    """
    with locked_account(engine, account_id) as connection:
        others = [entry.scenario for entry in load(connection, account_id)]
        _check_limits(others, added)
        ids = []
        for scenario in added:
            values = {"account_id": account_id, "definition": scenarios.document(scenario), "version": 1}
            inserted = connection.execute(insert(StoredScenario).values(values))
            scenario_id: int = inserted.inserted_primary_key[0]  # type: ignore[index]
            audit.record(
                connection, actor, "scenario_added", subject(scenario_id), after=values["definition"]
            )
            ids.append(scenario_id)
        return ids


@retry_conflicts
def save(
    engine: Engine, actor: Actor, account_id: int, scenario_id: int, version: int, scenario: Scenario
) -> None:
    """Replace `version` of a scenario, whose results are forgotten.

    :raises ScenarioRefused: if it is beyond a limit.
    :raises ScenarioNotFound: if there is no such scenario.
    :raises ScenarioConflict: if it has another version by now.
    """
    with locked_account(engine, account_id) as connection:
        current = _existing(connection, account_id, scenario_id)
        if current.version != version:
            raise ScenarioConflict(current)
        if current.scenario == scenario:
            return
        others = [entry.scenario for entry in load(connection, account_id) if entry.id != scenario_id]
        _check_limits(others, [scenario])
        before, after = scenarios.document(current.scenario), scenarios.document(scenario)
        changed = update(StoredScenario).where(StoredScenario.id == scenario_id)
        connection.execute(changed.values(definition=after, version=version + 1))
        connection.execute(delete(ScenarioResult).where(ScenarioResult.scenario_id == scenario_id))
        audit.record(connection, actor, "scenario_edited", subject(scenario_id), before=before, after=after)


@retry_conflicts
def remove(engine: Engine, actor: Actor, account_id: int, scenario_id: int) -> None:
    """Delete a scenario with its results.

    :raises ScenarioNotFound: if there is no such scenario.
    """
    with locked_account(engine, account_id) as connection:
        current = _existing(connection, account_id, scenario_id)
        connection.execute(delete(ScenarioResult).where(ScenarioResult.scenario_id == scenario_id))
        connection.execute(delete(StoredScenario).where(StoredScenario.id == scenario_id))
        before = scenarios.document(current.scenario)
        audit.record(connection, actor, "scenario_deleted", subject(scenario_id), before=before)


def subject(scenario_id: int) -> str:
    """Return the name of a scenario in the audit log."""
    return f"scenario:{scenario_id}"


def _existing(connection: Connection, account_id: int, scenario_id: int) -> ScenarioEntry:
    found = find(connection, account_id, scenario_id)
    if found is None:
        raise ScenarioNotFound
    return found


def _check_limits(others: Sequence[Scenario], added: Sequence[Scenario]) -> None:
    """Check what is added to the `others` of an account.

    :raises ScenarioRefused: if it is beyond a limit.
    """
    count = len(others)
    steps = sum(len(each.steps) for each in others)
    for scenario in added:
        count += 1
        steps += len(scenario.steps)
        size = len(json.dumps(scenarios.document(scenario), ensure_ascii=False).encode(errors="replace"))
        refused = {
            Limit.NAME: not scenario.name.strip() or len(scenario.name) > MAX_NAME,
            Limit.NO_STEPS: not scenario.steps,
            Limit.STEPS: len(scenario.steps) > MAX_STEPS,
            Limit.BYTES: size > MAX_BYTES,
            Limit.SCENARIOS: count > MAX_SCENARIOS,
            Limit.ALL_STEPS: steps > MAX_ALL_STEPS,
        }
        for limit, is_beyond in refused.items():
            if is_beyond:
                raise ScenarioRefused(limit, scenario)
