"""What a form asks to be pushed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from ...simulator.sample_messages import EVENTS, MESSAGES
from ...wechat import xml
from ...wechat.errors import MalformedMessage
from ...wechat.xml import Fields

PREFIX = "f/"
"""Before the path of an element in the name of an input: ``f/ScanCodeInfo/ScanType``."""
MAP_PIXELS = 240
MAP_DEGREES = 0.2
"""The picker is a square of so much, around the position in the form."""


def leaves(fields: Fields, path: str = PREFIX) -> Iterator[tuple[str, str]]:
    """Path and text of all elements that hold text."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}/")
        else:
            yield f"{path}{name}", value


def grown(values: Mapping[str, str]) -> Fields:
    """The fields whose `leaves` are `values`."""
    fields: Fields = {}
    for path, text in values.items():
        *branches, name = path.removeprefix(PREFIX).split("/")
        inner = fields
        for branch in branches:
            inner = inner.setdefault(branch, {})
        inner[name] = text
    return fields


def sample(kind: str) -> Fields:
    """The fields of a kind as they may arrive, beside the head."""
    return MESSAGES.get(kind) or EVENTS.get(kind) or {}


def read(form: Mapping[str, str]) -> Fields:
    """The fields that a form asks for, with MsgType; MalformedMessage."""
    if "xml" in form:
        return xml.parse(form["xml"].strip().encode())
    if "fields" in form:
        return _object(form["fields"])
    kind = form.get("kind", "text")
    named = {"MsgType": kind} if kind in MESSAGES else {"MsgType": "event", "Event": kind}
    fields = grown({path: text for path, text in form.items() if path.startswith(PREFIX)})
    return named | _picked(form, fields)


def _object(text: str) -> Fields:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise MalformedMessage("not JSON") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("MsgType"), str):
        raise MalformedMessage("no MsgType")
    return fields


def _picked(form: Mapping[str, str], fields: Fields) -> Fields:
    """`fields` with the position that was picked on the map, if one was."""
    if "at.x" not in form or not {"Location_X", "Location_Y"} <= set(fields):
        return fields
    try:
        x, y = int(form["at.x"]), int(form["at.y"])
        latitude, longitude = float(fields["Location_X"]), float(fields["Location_Y"])
    except ValueError as error:
        raise MalformedMessage("the position is no number") from error
    if (x, y) == (0, 0):  # pressed with the keyboard
        return fields
    latitude += (0.5 - y / MAP_PIXELS) * MAP_DEGREES
    longitude += (x / MAP_PIXELS - 0.5) * MAP_DEGREES
    return fields | {"Location_X": f"{latitude:.6f}", "Location_Y": f"{longitude:.6f}"}
