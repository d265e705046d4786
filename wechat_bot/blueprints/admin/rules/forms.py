"""The form of a rule and its definition, each made from the other.

A field of the form is named after its path in the definition, as problems name it: ``schedule.hours``. The
form has the fields of all kinds of triggers; those of other kinds than the chosen are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ....routing.definitions import MatchKind, TriggerKind
from ....routing.strict_json import Problem
from ..answers import forms as answer_forms
from ..answers.forms import Form, fill, line, lines, text_of

MATCHES = (
    MatchKind.CONTAINS,
    MatchKind.WHOLE,
    MatchKind.STARTS,
    MatchKind.WORDS,
    MatchKind.NUMBER,
    MatchKind.PATTERN,
)
"""The kinds of patterns in the order of their fields."""
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}

_TRIGGER_FIELDS = {
    TriggerKind.FOLLOWED: ("followers", "scene"),
    TriggerKind.SCANNED: ("scene",),
    TriggerKind.MESSAGE: ("kinds",),
    TriggerKind.MENU: ("keys",),
}
_NUMBER = re.compile(r"\d{1,15}")
_SEPARATORS = re.compile(r"[\s,，、;；]+")


# From the form


_SWITCHES = ("with_person", "resets_assistant")
"""Fields of a definition that are off unless they are named."""


def definition_of(form: Form) -> dict[str, Any]:
    """Return the definition in a form, which may have problems."""
    definition: dict[str, Any] = {
        "name": line(form, "name"),
        "enabled": "enabled" in form,
        "trigger": _trigger(form),
        **answer_forms.answers_of(form),
        "cool_down": _cool_down(form),
    }
    definition |= {name: True for name in _SWITCHES if name in form}
    if definition["trigger"]["type"] == TriggerKind.TEXT:
        definition["patterns"] = [{"match": match, "text": text} for match, text in _patterns(form)]
    if notes := text_of(form, "notes"):
        definition["notes"] = notes
    return definition | {"schedule": schedule_of(form, "schedule"), "audience": _audience(form)}


def _trigger(form: Form) -> dict[str, Any]:
    kind = form.get("trigger.type", TriggerKind.TEXT)
    trigger: dict[str, Any] = {"type": kind}
    for name in _TRIGGER_FIELDS.get(kind, ()):  # type: ignore[call-overload]
        path = f"trigger.{name}"
        if name == "kinds":
            trigger[name] = form.getlist(path)
        elif name == "keys":
            trigger[name] = keys_of(form)
        elif text := line(form, path):
            trigger[name] = text
    return trigger


def keys_of(form: Form) -> list[str]:
    """Return the keys of the buttons that are pressed in the form, and of those that are written in it."""
    written = (line.strip() for text in form.getlist("trigger.keys") for line in text.splitlines())
    return list(dict.fromkeys(filter(None, written)))


def _patterns(form: Form) -> Iterator[tuple[MatchKind, str]]:
    for match in MATCHES:
        for text in lines(form, f"patterns.{match}"):
            yield match, text


def schedule_of(form: Form, path: str) -> dict[str, Any]:
    """Return the schedule in the fields of a form whose names begin with `path`."""
    hours = form.get(f"{path}.hours", "").replace("：", ":")
    hours = re.sub(r"\s*(?:[-–—~～]|至|到)\s*", "-", hours)
    schedule: dict[str, Any] = {
        "hours": [re.sub(r"(?<!\d)(\d:)", r"0\1", part) for part in _SEPARATORS.split(hours) if part],
        "weekdays": [int(day) for day in form.getlist(f"{path}.weekdays") if _NUMBER.fullmatch(day)],
    }
    for name in ("first_day", "last_day"):
        if day := line(form, f"{path}.{name}"):
            schedule[name] = day
    return schedule


def _audience(form: Form) -> dict[str, Any]:
    audience: dict[str, Any] = {"tags": form.getlist("audience.tags")}
    if day := line(form, "audience.followed_since"):
        audience["followed_since"] = day
    return audience


def _cool_down(form: Form) -> int | str:
    text = line(form, "cool_down") or "0"
    return int(text) * UNITS.get(form.get("cool_down.unit", ""), 1) if _NUMBER.fullmatch(text) else text


# To the form


def form_of(definition: Mapping[str, Any]) -> Form:
    """Return the form of a definition."""
    form = Form({"name": definition.get("name", ""), "notes": definition.get("notes", "")})
    if definition.get("enabled", True):
        form["enabled"] = "on"
    for name in filter(definition.get, _SWITCHES):
        form[name] = "on"
    seconds = definition.get("cool_down", 0)
    unit = next((name for name in reversed(UNITS) if seconds and seconds % UNITS[name] == 0), "minutes")
    form["cool_down"], form["cool_down.unit"] = str(seconds // UNITS[unit] or ""), unit
    for name in ("trigger", "schedule", "audience"):
        fill(form, name, definition.get(name, {}))
    form["schedule.hours"] = "、".join(definition.get("schedule", {}).get("hours", ()))
    form["trigger.keys"] = "\n".join(definition.get("trigger", {}).get("keys", ()))
    for match in MATCHES:
        texts = [each["text"] for each in definition.get("patterns", ()) if each["match"] == match]
        form[f"patterns.{match}"] = "\n".join(texts)
    answer_forms.fill_answers(form, definition)
    return form


# Problems


def field_of(problem: Problem, definition: Mapping[str, Any], form: Form) -> tuple[str, str]:
    """Return the field of the form that has a problem, and the item in it, if it has several."""
    path = problem.field
    if found := re.match(r"patterns\[(\d+)\]", path):
        pattern = definition["patterns"][int(found[1])]
        return f"patterns.{pattern['match']}", pattern["text"]
    if path == "patterns":
        return f"patterns.{MATCHES[0]}", ""
    if path.startswith("answers"):
        return answer_forms.field_of(path, form), ""
    if not path.endswith("]"):
        return path, ""
    name, _, number = path.rpartition("[")
    return name, _item(definition, name.rpartition("."), int(number.rstrip("]")))


def _item(definition: Mapping[str, Any], name: tuple[str, str, str], number: int) -> str:
    """Return an item of a list of the trigger, the schedule or the audience."""
    values = definition.get(name[0], {})
    items = values.get(name[2], ()) if isinstance(values, Mapping) else ()
    return str(items[number]) if number < len(items) else ""
