"""Conversations as files: what a follower does, and what he should see.

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

A step is one of ``send`` (a text), ``follow`` and ``scan`` (a scene, or nothing), ``click`` (a key),
``unfollow`` and ``push`` (any fields). ``expect`` is the whole text, or one of ``contains``, ``pattern`` (a
regular expression that is found in it) and ``shows``: ``nothing``, ``notice`` or the kind of a reply. What is
not expected may be anything but the failure notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ..services.outbox.sending import readable
from ..wechat.replies import Reply
from ..wechat.xml import Fields
from .platform import Attempt, Delivery, SimulatedPlatform

HEAD = {"ToUserName", "FromUserName", "CreateTime", "MsgId"}
"""What the platform adds to every message."""
ACTIONS = ("send", "follow", "unfollow", "scan", "click")
_EXPECTATIONS = ("text", "contains", "pattern", "shows")


class PlayError(Exception):
    """The file is no conversation."""


@dataclass(frozen=True)
class Expectation:
    """One of `_EXPECTATIONS`, and its value."""

    kind: str
    value: str

    def met_by(self, shown: str, text: str) -> bool:
        """Whether a follower sees it who sees a reply of the kind `shown`, which reads `text`."""
        match self.kind:
            case "contains":
                return self.value in text
            case "pattern":
                return re.search(self.value, text, re.S) is not None
            case "shows":
                return self.value == shown
            case _:
                return self.value == text


@dataclass(frozen=True)
class Step:
    """`fields` that are pushed, with MsgType and without the rest of the head, and what should come of it."""

    fields: Fields
    expected: Expectation | None = None


@dataclass(frozen=True)
class Scenario:
    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Result:
    """A step that was played; `shown` is ``nothing``, ``notice`` or the kind of the reply."""

    step: Step
    shown: str
    text: str

    @property
    def passed(self) -> bool:
        if self.step.expected is None:
            return self.shown != "notice"
        return self.step.expected.met_by(self.shown, self.text)


def play(platform: SimulatedPlatform, conversation: Scenario) -> Iterator[Result]:
    """Every step, one after the other, whether it passes or not."""
    for step in conversation.steps:
        delivery = platform.push(complete(platform, step.fields))
        yield Result(step, shown(delivery), _text(delivery.reply))


def complete(platform: SimulatedPlatform, fields: Fields) -> Fields:
    """`fields` with the head that the platform puts before them; what they have themselves stays."""
    more = {name: value for name, value in fields.items() if name not in {"MsgType", "Event"}}
    if fields.get("MsgType") == "event":
        return platform.event(str(fields.get("Event")), **more)
    return platform.message(str(fields.get("MsgType", "text")), **more)


def action(name: str, value: str) -> Fields:
    """What is pushed when a follower does `name`, one of `ACTIONS`; PlayError for any other."""
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
            raise PlayError(f"there is no action {name!r}")


def _event(name: str, key: str) -> Fields:
    return {"MsgType": "event", "Event": name, "EventKey": key}


def shown(delivery: Delivery) -> str:
    if delivery.failed:
        return "notice"
    return delivery.reply.kind if delivery.reply else "nothing"


def _text(reply: Reply | None) -> str:
    return readable(reply) if reply else ""


# Files


def load(text: str) -> Scenario:
    """PlayError says what is wrong."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PlayError(f"not YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("steps"), list):
        raise PlayError("a conversation has a name and a list of steps")
    steps = [_step(number, step) for number, step in enumerate(document["steps"], 1)]
    return Scenario(str(document.get("name", "")), tuple(steps))


def _step(number: int, step: Any) -> Step:
    try:
        if not isinstance(step, dict):
            raise PlayError("it is not an action with what is expected")
        step = dict(step)
        expected = _expectation(step.pop("expect", None))
        if len(step) != 1:
            raise PlayError("it has one action")
        [(name, value)] = step.items()
        return Step(_pushed(value) if name == "push" else action(name, _scalar(value)), expected)
    except PlayError as error:
        raise PlayError(f"step {number}: {error}") from error


def _expectation(value: Any) -> Expectation | None:
    match value:
        case None:
            return None
        case str():
            return Expectation("text", value)
        case dict() if len(value) == 1 and set(value) <= set(_EXPECTATIONS):
            [(kind, text)] = value.items()
            return Expectation(kind, _pattern(text) if kind == "pattern" else _scalar(text))
        case _:
            raise PlayError(f"expect is a text or one of {', '.join(_EXPECTATIONS)}")


def _pattern(value: Any) -> str:
    try:
        return re.compile(_scalar(value)).pattern
    except re.error as error:
        raise PlayError(f"pattern: {error}") from error


def _pushed(value: Any) -> Fields:
    if not isinstance(value, dict) or "MsgType" not in value:
        raise PlayError("push has fields, MsgType among them")
    return {str(name): _field(each) for name, each in value.items()}


def _field(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _field(each) for name, each in value.items()}
    return [_field(each) for each in value] if isinstance(value, list) else _scalar(value)


def _scalar(value: Any) -> str:
    return "" if value is None else str(value)


def dump(conversation: Scenario) -> str:
    """The file that `load` reads."""
    document = {"name": conversation.name, "steps": [_document(step) for step in conversation.steps]}
    return yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110)


class _Dumper(yaml.SafeDumper):
    """Writes what has several lines as it is read."""


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


def sentence(step: Step) -> str:
    """What the follower does, in a line."""
    [(name, value)] = [item for item in _document(step).items() if item[0] != "expect"]
    return f"{name} {value or ''}".rstrip()


def wanted(step: Step) -> str:
    """What is expected, in words."""
    return f"{step.expected.kind} {step.expected.value!r}" if step.expected else "no failure notice"


def _value(name: str, fields: Fields) -> str:
    text = _scalar(fields.get("Content" if name == "send" else "EventKey"))
    return text.removeprefix("qrscene_") if name == "follow" else text


def recorded(fields: Fields, answer: Attempt | None, *, failed: bool) -> Step:
    """A step that expects what once happened."""
    reply = answer.reply if answer else None
    if reply and reply.kind == "text":
        return Step(fields, Expectation("text", readable(reply)))
    return Step(fields, Expectation("shows", "notice" if failed else reply.kind if reply else "nothing"))
