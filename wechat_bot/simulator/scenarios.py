"""Scenarios: files with actions of a follower and the expected replies, and their execution.

::

    name: 改名
    steps:
      - send: 改名
        expect: 怎么称呼你？发送“取消”不改。
      - send: 小明
        expect: {contains: 小明}
      - click: MENU_HELP
        expect: {pattern: "帮助.*改名"}
      - push: {MsgType: event, Event: LOCATION, Latitude: "31.2", Longitude: "121.5", Precision: "65"}
        expect: {shows: nothing}

The action of a step is ``send`` (a text), ``follow`` or ``scan`` (a scene, which may be empty), ``click``
(a key), ``unfollow``, or ``push`` (any fields). ``expect`` is the whole text of the reply, or ``contains``
(a part of it), ``pattern`` (a regular expression that is found in it) or ``shows`` (``nothing``, ``notice``
or the kind of a reply). A step without ``expect`` passes unless the follower sees the failure notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ..wechat.replies import Reply
from ..wechat.xml import Fields
from .platform import Attempt, Delivery, SimulatedPlatform

HEAD_FIELDS = {"ToUserName", "FromUserName", "CreateTime", "MsgId"}
"""The fields that the platform adds to every message."""
ACTIONS = ("send", "follow", "unfollow", "scan", "click")
_EXPECTATION_KINDS = ("text", "contains", "pattern", "shows")


class ScenarioError(Exception):
    """The file is not a valid scenario."""


@dataclass(frozen=True)
class Expectation:
    """The expected reply. `kind` is one of `_EXPECTATION_KINDS`."""

    kind: str
    value: str

    def met_by(self, outcome: str, text: str) -> bool:
        """Whether an outcome (see `StepResult`), with the text of the reply, meets the expectation."""
        match self.kind:
            case "contains":
                return self.value in text
            case "pattern":
                return re.search(self.value, text, re.S) is not None
            case "shows":
                return self.value == outcome
            case _:
                return self.value == text


@dataclass(frozen=True)
class Step:
    """A push and the expected reply. `fields` have MsgType, but no `HEAD_FIELDS`."""

    fields: Fields
    expected: Expectation | None = None


@dataclass(frozen=True)
class Scenario:
    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class StepResult:
    """The result of a step. `outcome` is ``nothing``, ``notice`` or the kind of the reply."""

    step: Step
    outcome: str
    text: str

    @property
    def passed(self) -> bool:
        if self.step.expected is None:
            return self.outcome != "notice"
        return self.step.expected.met_by(self.outcome, self.text)


def run(platform: SimulatedPlatform, scenario: Scenario) -> Iterator[StepResult]:
    """Run all steps in order, even after one fails."""
    for step in scenario.steps:
        delivery = platform.push(add_head(platform, step.fields))
        yield StepResult(step, _outcome(delivery), _text(delivery.reply))


def add_head(platform: SimulatedPlatform, fields: Fields) -> Fields:
    """Return `fields` with those of `HEAD_FIELDS` that they lack."""
    more = {name: value for name, value in fields.items() if name not in {"MsgType", "Event"}}
    if fields.get("MsgType") == "event":
        return platform.event(str(fields.get("Event")), **more)
    return platform.message(str(fields.get("MsgType", "text")), **more)


def action(name: str, value: str) -> Fields:
    """Return the fields that are pushed for an action of a follower.

    :raises ScenarioError: if `name` is not one of `ACTIONS`.
    """
    match name:
        case "send":
            return {"MsgType": "text", "Content": value}
        case "follow":
            return _event("subscribe", f"qrscene_{value}" if value else "")
        case "unfollow":
            return _event("unsubscribe", "")
        case "scan":
            return {**_event("SCAN", value), "Ticket": "gQH8exampleTicket=="}
        case "click":
            return _event("CLICK", value)
        case _:
            raise ScenarioError(f"there is no action {name!r}")


def _event(name: str, key: str) -> Fields:
    return {"MsgType": "event", "Event": name, "EventKey": key}


def _outcome(delivery: Delivery) -> str:
    if delivery.failed:
        return "notice"
    return delivery.reply.kind if delivery.reply else "nothing"


def _text(reply: Reply | None) -> str:
    return reply.text_for_search if reply else ""


# Files


def load(text: str) -> Scenario:
    """Parse a file.

    :raises ScenarioError: with the problem, if it is not a scenario.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioError(f"not YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("steps"), list):
        raise ScenarioError("a conversation has a name and a list of steps")
    steps = [_step(number, step) for number, step in enumerate(document["steps"], 1)]
    return Scenario(str(document.get("name", "")), tuple(steps))


def _step(number: int, step: Any) -> Step:
    try:
        if not isinstance(step, dict):
            raise ScenarioError("it is not an action with what is expected")
        step = dict(step)
        expected = _expectation(step.pop("expect", None))
        if len(step) != 1:
            raise ScenarioError("it has one action")
        [(name, value)] = step.items()
        return Step(_fields(value) if name == "push" else action(name, _scalar(value)), expected)
    except ScenarioError as error:
        raise ScenarioError(f"step {number}: {error}") from error


def _expectation(value: Any) -> Expectation | None:
    match value:
        case None:
            return None
        case str():
            return Expectation("text", value)
        case dict() if len(value) == 1 and set(value) <= set(_EXPECTATION_KINDS):
            [(kind, text)] = value.items()
            return Expectation(kind, _pattern(text) if kind == "pattern" else _scalar(text))
        case _:
            raise ScenarioError(f"expect is a text or one of {', '.join(_EXPECTATION_KINDS)}")


def _pattern(value: Any) -> str:
    try:
        return re.compile(_scalar(value)).pattern
    except re.error as error:
        raise ScenarioError(f"pattern: {error}") from error


def _fields(value: Any) -> Fields:
    if not isinstance(value, dict) or "MsgType" not in value:
        raise ScenarioError("push has fields, MsgType among them")
    return {str(name): _field(each) for name, each in value.items()}


def _field(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _field(each) for name, each in value.items()}
    return [_field(each) for each in value] if isinstance(value, list) else _scalar(value)


def _scalar(value: Any) -> str:
    return "" if value is None else str(value)


def dump(scenario: Scenario) -> str:
    """Return the text of the file, which `load` parses."""
    document = {"name": scenario.name, "steps": [_document(step) for step in scenario.steps]}
    return yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as literal blocks."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent)


def _document(step: Step) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name in ACTIONS:
        value = _value(name, step.fields)
        if action(name, value) == step.fields:
            document[name] = value or None
            break
    else:
        document["push"] = step.fields
    match step.expected:
        case Expectation("text", text):
            document["expect"] = text
        case Expectation(kind, text):
            document["expect"] = {kind: text}
    return document


def describe_action(step: Step) -> str:
    """Return the action of a step in one line."""
    [(name, value)] = [item for item in _document(step).items() if item[0] != "expect"]
    return f"{name} {value or ''}".rstrip()


def describe_expectation(step: Step) -> str:
    return f"{step.expected.kind} {step.expected.value!r}" if step.expected else "no failure notice"


def _value(name: str, fields: Fields) -> str:
    text = _scalar(fields.get("Content" if name == "send" else "EventKey"))
    return text.removeprefix("qrscene_") if name == "follow" else text


def step_from_push(fields: Fields, answered: Attempt | None, *, failed: bool) -> Step:
    """Return a step that repeats a push and expects the same outcome.

    :param answered: the attempt whose answer the platform accepted, if any.
    :param failed: whether the follower saw the failure notice.
    """
    reply = answered.reply if answered else None
    if reply and reply.kind == "text":
        return Step(fields, Expectation("text", reply.text_for_search))
    return Step(fields, Expectation("shows", "notice" if failed else reply.kind if reply else "nothing"))
