"""The form of a scenario, a line for each step, and the scenario, each made from the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ....simulator import scenarios
from ....simulator.scenarios import Expectation, Scenario, ScenarioError, Step
from ....wechat.texts import normalize_line_ends
from ..answers.forms import Form

SHOWS = "shows:"
"""Before the outcome that is expected, where the text of the reply does not matter."""


@dataclass(frozen=True)
class Line:
    """The fields of a step."""

    action: str = "send"
    value: str = ""
    at: str = ""
    expect: str = "text"
    """The kind of the expectation; empty if any answer will do."""
    expected: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether it is not filled in."""
        return self.action in {"send", "click", "push"} and not self.value.strip()

    def document(self) -> dict[str, Any]:
        """Return the step as it is in a file.

        :raises ScenarioError: if the fields of a push are not YAML.
        """
        value: Any = self.value
        found = {self.action: scenarios.parse_yaml(value) if self.action == "push" else value}
        if self.at:
            found["at"] = self.at
        if self.expect.startswith(SHOWS):
            found["expect"] = {"shows": self.expect.removeprefix(SHOWS)}
        elif self.expect:
            found["expect"] = {self.expect: self.expected} if self.expect != "text" else self.expected
        return found


def lines_of(form: Form) -> list[Line]:
    """Return the lines of a form."""
    columns = (form.getlist(name) for name in ("action", "value", "at", "expect", "expected"))
    return [
        Line(action, normalize_line_ends(value), at, expect, normalize_line_ends(expected))
        for action, value, at, expect, expected in zip(*columns, strict=False)
    ]


def lines_for(scenario: Scenario) -> list[Line]:
    """Return the lines of a scenario."""
    return [_line(step) for step in scenario.steps]


def _line(step: Step) -> Line:
    action, value = scenarios.action_of(step)
    does = action, value if isinstance(value, str) else scenarios.flow(value), _local(step.at)
    match step.expected:
        case None:
            return Line(*does, expect="")
        case Expectation("shows", outcome):
            return Line(*does, expect=SHOWS + outcome)
        case Expectation(kind, expected):
            return Line(*does, expect=kind, expected=expected)


def _local(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds" if at.second else "minutes") if at else ""


def scenario_of(form: Form, lines: Sequence[Line]) -> Scenario:
    """Return the scenario in a form, without the lines that are blank.

    :raises ScenarioError: with the number of the line that is wrong.
    """
    tags = (tag.strip() for tag in form.get("tags", "").replace("，", ",").split(","))
    steps: list[Step] = []
    for number, line in enumerate(lines, 1):
        if not line.is_blank:
            try:
                steps += scenarios.read({"steps": [line.document()]}).steps
            except ScenarioError as error:
                raise ScenarioError(error.fault, error.detail, number) from error
    name = " ".join(form.get("name", "").split())
    return Scenario(name, tuple(steps), tuple(filter(None, tags)))


def changed(lines: Sequence[Line], button: str) -> list[Line] | None:
    """Return the lines after a line was added, removed or moved up, as a button says; else None."""
    name, _colon, place = button.partition(":")
    number = int(place) if place.isdecimal() and len(place) < 5 else len(lines)
    found = list(lines)
    match name:
        case "add":
            found.insert(number, Line())
        case "remove":
            del found[number - 1 : number]
        case "up" if 1 < number <= len(found):
            found[number - 2 : number] = reversed(found[number - 2 : number])
        case _:
            return None
    return found
