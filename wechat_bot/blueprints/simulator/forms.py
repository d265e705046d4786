"""Conversion between forms and the fields of pushes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from ...simulator.sample_messages import EVENTS, MESSAGES
from ...wechat import xml
from ...wechat.errors import MalformedMessage
from ...wechat.xml import Fields

PREFIX = "f/"
"""Prefix of the names of inputs, before the path of an element: ``f/ScanCodeInfo/ScanType``."""
MAP_PIXELS = 240
"""Side length of the square map in pixels. Its center is the position in the form."""
MAP_DEGREES = 0.2
"""Side length of the map in degrees."""


def flatten(fields: Fields, path: str = PREFIX) -> Iterator[tuple[str, str]]:
    """Yield path and text of all elements that have text."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{path}{name}/")
        else:
            yield f"{path}{name}", value


def unflatten(values: Mapping[str, str]) -> Fields:
    """Return the fields that `flatten` turns into `values`.

    :raises MalformedMessage: if an element has both a text and elements.
    """
    fields: Fields = {}
    for path, text in values.items():
        *branches, name = path.removeprefix(PREFIX).split("/")
        inner = fields
        for branch in branches:
            inner = inner.setdefault(branch, {})
            if not isinstance(inner, dict):
                raise MalformedMessage(f"{branch} is a text and has elements")
        inner[name] = text
    return fields


def sample(kind: str) -> Fields:
    """Return sample fields of a kind of message or event, without the head."""
    return MESSAGES.get(kind) or EVENTS.get(kind) or {}


def read(form: Mapping[str, str]) -> Fields:
    """Return the fields in a submitted form, with MsgType.

    :raises MalformedMessage: if they are no message.
    """
    if "xml" in form:
        return xml.parse(form["xml"].strip().encode())
    if "fields" in form:
        return _parse_json(form["fields"])
    kind = form.get("kind", "text")
    named = {"MsgType": kind} if kind in MESSAGES else {"MsgType": "event", "Event": kind}
    fields = unflatten({path: text for path, text in form.items() if path.startswith(PREFIX)})
    return named | _with_position(form, fields)


def _parse_json(text: str) -> Fields:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("not JSON") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("MsgType"), str):
        raise MalformedMessage("no MsgType")
    return fields


def _with_position(form: Mapping[str, str], fields: Fields) -> Fields:
    """Return `fields` with the position that was picked on the map, if any."""
    if "at.x" not in form or not {"Location_X", "Location_Y"} <= set(fields):
        return fields
    try:
        x, y = int(form["at.x"]), int(form["at.y"])
        latitude, longitude = float(fields["Location_X"]), float(fields["Location_Y"])
    except ValueError as error:
        raise MalformedMessage("the position is no number") from error
    if (x, y) == (0, 0):  # submitted with the keyboard
        return fields
    latitude += (0.5 - y / MAP_PIXELS) * MAP_DEGREES
    longitude += (x / MAP_PIXELS - 0.5) * MAP_DEGREES
    return fields | {"Location_X": f"{latitude:.6f}", "Location_Y": f"{longitude:.6f}"}
