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
      - send: 有人吗
        at: 2026-11-28 22:00
        expect: {rule: 下班了}

The action of a step is ``send`` (a text), ``follow`` or ``scan`` (a scene, which may be empty), ``click``
(a key), ``unfollow``, or ``push`` (any fields). ``expect`` is the whole text of the reply, or ``contains``
(a part of it), ``pattern`` (a regular expression of RE2 that is found in it), ``shows`` (``nothing``,
``notice`` or the kind of a reply) or ``rule`` (the name of the rule or handler that answers). A step without
``expect`` passes unless the follower sees the failure notice.

``at`` is when the step happens, in the account's time zone; later steps without one happen then, too.
``tags`` beside ``name`` are those of the follower. A bot that is pushed to cannot play these
(`services.scenarios` can). A file may have several scenarios, with ``---`` between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import re2
import yaml

from ..wechat.replies import Reply
from ..wechat.xml import Fields
from .platform import Delivery, SimulatedPlatform

HEAD_FIELDS = {"ToUserName", "FromUserName", "CreateTime", "MsgId"}
"""The fields that the platform adds to every message."""
ACTIONS = ("send", "follow", "unfollow", "scan", "click")
EXPECTATIONS = ("text", "contains", "pattern", "shows", "rule")
"""The kinds of expectations."""
_PATTERN_OPTIONS = re2.Options()
_PATTERN_OPTIONS.dot_nl = True
_PATTERN_OPTIONS.log_errors = False


class Fault(StrEnum):
    """Why a file is no scenario, as a sentence in which ``{}`` is a detail."""

    YAML = "not YAML: {}"
    ALIAS = "an alias (*) cannot be used"
    SHAPE = "a conversation has a name and a list of steps"
    TAGS = "tags is a list of names"
    STEP = "it is not an action with what is expected"
    ACTIONS = "it has one action"
    ACTION = "there is no action {!r}"
    EXPECTATION = "expect is a text or one of {}"
    PATTERN = "pattern: {}"
    FIELDS = "push has fields, MsgType among them"
    TIME = "at is a time such as 2026-11-28 22:00"


class ScenarioError(Exception):
    """The file is not a valid scenario, because of a fault in one of its steps, if `step` is not 0."""

    def __init__(self, fault: Fault, detail: str = "", step: int = 0) -> None:
        super().__init__((f"step {step}: " if step else "") + fault.format(detail))
        self.fault = fault
        self.detail = detail
        self.step = step


class Obstacle(StrEnum):
    """Why it cannot be told whether a step passes."""

    TIME = "time"
    """It is to happen at another time, and the bot has its own clock."""
    TAGS = "tags"
    """The follower has tags, which the bot does not know."""
    RULE = "rule"
    """The bot does not tell which rule answers."""
    SLOW = "slow"
    """A slow handler answers, which does not run without a follower who waits."""
    SERVICES = "services"
    """The handler asks for the platform or for services of the program."""
    RANDOM = "random"
    """The rule has several answers, one of which it gives at random."""
    PICKUP = "pickup"
    """It fetches an answer to another message."""
    EARLIER = "earlier"
    """An earlier step could not be played, so that the dialogue may be another one."""
    TIMEOUT = "timeout"
    """There was no time left."""


@dataclass(frozen=True)
class Expectation:
    """The expected reply. `kind` is one of `EXPECTATIONS`."""

    kind: str
    value: str


@dataclass(frozen=True)
class Step:
    """A push and the expected reply. `fields` have MsgType, but no `HEAD_FIELDS`."""

    fields: Fields
    expected: Expectation | None = None
    at: datetime | None = None
    """When it happens, in the account's time zone; None for when the step before it did, or now."""


@dataclass(frozen=True)
class Scenario:
    name: str
    steps: tuple[Step, ...]
    tags: tuple[str, ...] = ()
    """The tags of the follower."""


@dataclass(frozen=True)
class StepResult:
    """The result of a step. `outcome` is ``nothing``, ``notice`` or the kind of the reply."""

    step: Step
    outcome: str = "nothing"
    text: str = ""
    by: str | None = None
    """The name of the rule or handler that answers; empty if none does, None if it is not known."""
    rule_id: int | None = None
    """The rule that answers, if it is known that one does."""
    obstacle: Obstacle | None = None

    @property
    def passed(self) -> bool:
        return self.obstacle is None and self._is_as_expected

    @property
    def failed(self) -> bool:
        return self.obstacle is None and not self._is_as_expected

    @property
    def _is_as_expected(self) -> bool:
        match self.step.expected:
            case None:
                return self.outcome != "notice"
            case Expectation("text", value):
                return self.text == value
            case Expectation("contains", value):
                return value in self.text
            case Expectation("pattern", value):
                return _compiled(value).search(self.text) is not None
            case Expectation("shows", value):
                return self.outcome == value
            case Expectation("rule", value):
                return self.by == value
            case Expectation(kind, _):
                raise ValueError(kind)


def _compiled(pattern: str) -> Any:
    """Return a regular expression.

    :raises re2.error: if it is none.
    """
    return re2.compile(pattern, _PATTERN_OPTIONS)


def run(platform: SimulatedPlatform, scenario: Scenario) -> Iterator[StepResult]:
    """Run all steps in order, even after one fails. Nothing runs that only others can play."""
    unplayable = Obstacle.TIME if any(step.at for step in scenario.steps) else None
    unplayable = Obstacle.TAGS if scenario.tags else unplayable
    for step in scenario.steps:
        if unplayable:
            yield StepResult(step, obstacle=unplayable)
            continue
        delivery = platform.push(add_head(platform, step.fields))
        untold = Obstacle.RULE if step.expected and step.expected.kind == "rule" else None
        yield StepResult(step, *_seen(delivery), obstacle=untold)


def _seen(delivery: Delivery) -> tuple[str, str]:
    return ("notice", "") if delivery.failed else seen(delivery.reply)


def seen(reply: Reply | None) -> tuple[str, str]:
    """Return the outcome of a step that is answered with `reply`, and the text of the reply."""
    return (reply.kind, reply.text_for_search) if reply else ("nothing", "")


def add_head(platform: SimulatedPlatform, fields: Fields) -> Fields:
    """Return `fields` with those of `HEAD_FIELDS` that they lack."""
    more = {name: value for name, value in fields.items() if name not in {"MsgType", "Event"}}
    if fields.get("MsgType") == "event":
        return platform.event(str(fields.get("Event")), **more)
    return platform.message(str(fields.get("MsgType", "text")), **more)


def without_head(fields: Mapping[str, Any]) -> Fields:
    """Return `fields` without `HEAD_FIELDS`."""
    return {name: value for name, value in fields.items() if name not in HEAD_FIELDS}


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
            raise ScenarioError(Fault.ACTION, name)


def _event(name: str, key: str) -> Fields:
    return {"MsgType": "event", "Event": name, "EventKey": key}


# Files


def load(text: str) -> Scenario:
    """Parse a file with one scenario.

    :raises ScenarioError: with the problem, if it is not a scenario.
    """
    found = load_all(text)
    if len(found) != 1:
        raise ScenarioError(Fault.SHAPE)
    return found[0]


def load_all(text: str) -> list[Scenario]:
    """Parse a file with any number of scenarios.

    :raises ScenarioError: with the first problem, if it has anything else.
    """
    return [read(document) for document in _documents(text)]


def parse_yaml(text: str) -> Any:
    """Return what a YAML text of one document describes.

    :raises ScenarioError: if it is not YAML.
    """
    found = _documents(text)
    return found[0] if len(found) == 1 else None


def _documents(text: str) -> list[Any]:
    try:
        # What refers to another place is refused: a short file could become an endless one.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.CSafeLoader)):
            raise ScenarioError(Fault.ALIAS)
        return list(yaml.load_all(text, yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ScenarioError(Fault.YAML, f"{where}{error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ScenarioError(Fault.YAML, str(error).partition("\n")[0]) from error


def read(document: Any) -> Scenario:
    """Return the scenario that a document of a file describes.

    :raises ScenarioError: with the first problem, if it is none.
    """
    if not isinstance(document, dict) or not isinstance(document.get("steps"), list):
        raise ScenarioError(Fault.SHAPE)
    tags = document.get("tags") or []
    if not isinstance(tags, list):
        raise ScenarioError(Fault.TAGS)
    steps = [_step(number, step) for number, step in enumerate(document["steps"], 1)]
    return Scenario(_scalar(document.get("name")), tuple(steps), tuple(map(_scalar, tags)))


def _step(number: int, step: Any) -> Step:
    try:
        if not isinstance(step, dict):
            raise ScenarioError(Fault.STEP)
        step = dict(step)
        expected, at = _expectation(step.pop("expect", None)), _moment(step.pop("at", None))
        if len(step) != 1:
            raise ScenarioError(Fault.ACTIONS)
        [(name, value)] = step.items()
        return Step(_fields(value) if name == "push" else action(str(name), _scalar(value)), expected, at)
    except ScenarioError as error:
        raise ScenarioError(error.fault, error.detail, number) from error


def _expectation(value: Any) -> Expectation | None:
    match value:
        case None:
            return None
        case str():
            return Expectation("text", value)
        case dict() if len(value) == 1 and set(value) <= set(EXPECTATIONS):
            [(kind, text)] = value.items()
            return Expectation(kind, _pattern(text) if kind == "pattern" else _scalar(text))
        case _:
            raise ScenarioError(Fault.EXPECTATION, ", ".join(EXPECTATIONS))


def _pattern(value: Any) -> str:
    try:
        _compiled(_scalar(value))
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ScenarioError(Fault.PATTERN, text) from error
    return _scalar(value)


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(_scalar(value))
    except ValueError as error:
        raise ScenarioError(Fault.TIME) from error
    if found.tzinfo:
        raise ScenarioError(Fault.TIME)
    return found.replace(microsecond=0)


def _fields(value: Any) -> Fields:
    if not isinstance(value, dict) or "MsgType" not in value:
        raise ScenarioError(Fault.FIELDS)
    return {str(name): _field(each) for name, each in value.items()}


def _field(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _field(each) for name, each in value.items()}
    return [_field(each) for each in value] if isinstance(value, list) else _scalar(value)


def _scalar(value: Any) -> str:
    return "" if value is None else str(value)


def dump(*scenarios: Scenario) -> str:
    """Return the text of a file, from which `load_all` makes the scenarios again."""
    return yaml.dump_all(
        map(document, scenarios), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110
    )


def flow(fields: Fields) -> str:
    """Return fields in one line of YAML."""
    text = yaml.dump(fields, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=True)
    return " ".join(text.split())


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as literal blocks."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent)


def document(scenario: Scenario) -> dict[str, Any]:
    """Return the document of a file from which `read` makes the scenario again; it is JSON, too."""
    tags = {"tags": list(scenario.tags)} if scenario.tags else {}
    return {"name": scenario.name, **tags, "steps": [_document(step) for step in scenario.steps]}


def _document(step: Step) -> dict[str, Any]:
    name, value = action_of(step)
    found: dict[str, Any] = {name: value or None}
    if step.at:
        found["at"] = step.at.isoformat(" ", "seconds" if step.at.second else "minutes")
    match step.expected:
        case Expectation("text", text):
            found["expect"] = text
        case Expectation(kind, text):
            found["expect"] = {kind: text}
    return found


def action_of(step: Step) -> tuple[str, str | Fields]:
    """Return the name and the value of a step's action: a text, or the fields of a ``push``.

    The ticket of a code that was scanned is left out.
    """
    for name in ACTIONS:
        value = _value(name, step.fields)
        if {**action(name, value), "Ticket": ""} == {**step.fields, "Ticket": ""}:
            return name, value
    return "push", step.fields


def describe_action(step: Step) -> str:
    """Return the action of a step in one line."""
    name, value = action_of(step)
    return f"{name} {value or ''}".rstrip()


def describe_expectation(step: Step) -> str:
    return f"{step.expected.kind} {step.expected.value!r}" if step.expected else "no failure notice"


def _value(name: str, fields: Fields) -> str:
    text = _scalar(fields.get("Content" if name == "send" else "EventKey"))
    return text.removeprefix("qrscene_") if name == "follow" else text


def step_from_push(fields: Fields, reply: Reply | None, *, failed: bool = False) -> Step:
    """Return a step that repeats a push and expects the same outcome.

    :param reply: the reply that the platform accepted, if any.
    :param failed: whether the follower saw the failure notice.
    """
    own = without_head(fields)
    if reply and reply.kind == "text":
        return Step(own, Expectation("text", reply.text_for_search))
    return Step(own, Expectation("shows", "notice" if failed else seen(reply)[0]))
