"""Answers in a form, and as JSON, each made from the other.

A field of the form is named after its path, as problems name it: ``answers[0].text`` in a list, and
``answer.text`` where there is one answer alone. The form has the fields of all kinds of answers; those of
other kinds than the chosen are left out. Each kind has a field for its file: ``answers[0].file_id.image``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from werkzeug.datastructures import MultiDict

from ....routing.answers import FILE_FIELDS, PreparedAnswer, PreparedArticle
from ....wechat.texts import normalize_line_ends

Form = MultiDict[str, str]

FILES = {"image": "image", "voice": "voice", "video": "video", "music": "image", "mini_program": "image"}
"""The kind of file of each kind of answer that has one."""
_NUMBER = re.compile(r"\d{1,15}")


# From the form


def answers_of(form: Form) -> dict[str, Any]:
    """Return the answers in a form and how they are picked, as a part of a rule's definition."""
    found: dict[str, Any] = {"answers": [answer_of(form, path) for path in paths(form, "answers")]}
    if len(found["answers"]) > 1 and form.get("pick"):
        found["pick"] = form["pick"]
    return found


def answer_of(form: Form, path: str) -> dict[str, Any]:
    """Return the answer whose fields begin with `path`, which may have problems."""
    kind = form.get(f"{path}.kind", "text")
    answer: dict[str, Any] = {"kind": kind}
    variant = PreparedAnswer.variants().get(kind)
    if variant is None:
        return answer
    at_desk = kind == "person" and f"{path}.desk" in form
    for field in fields(variant):  # type: ignore[arg-type]
        if kind == "person" and field.name == ("text" if at_desk else "agent"):
            continue
        value = _value(form, f"{path}.{field.name}", kind, field)
        if value is not MISSING:
            answer[field.name] = value
    return answer


def _value(form: Form, path: str, kind: str, field: Field[Any]) -> Any:
    """Return the value of a field of an answer; `MISSING` if it shall be left out."""
    match field.name:
        case name if name in FILE_FIELDS:
            text = line(form, f"{path}.{kind}")
            return int(text) if _NUMBER.fullmatch(text) else MISSING
        case "desk":
            return path in form
        case "choices":
            return lines(form, path)
        case "articles":
            return [_article(form, item) for item in paths(form, path)]
        case "article":
            return _article(form, path)
    text = text_of(form, path) if field.name == "text" else line(form, path)
    return text if text or field.default is MISSING else MISSING


def _article(form: Form, path: str) -> dict[str, Any]:
    found = {field.name: line(form, f"{path}.{field.name}") for field in fields(PreparedArticle)}
    return {name: text for name, text in found.items() if text or name in {"title", "url"}}


def paths(form: Form, name: str) -> list[str]:
    """Return the paths of the items of a list in the form: ``answers[0]``, ``answers[1]``, …"""
    item = re.compile(re.escape(name) + r"\[(\d{1,4})\]\.")
    numbers = {int(found[1]) for key in form if (found := item.match(key))}
    return [f"{name}[{number}]" for number in sorted(numbers)]


def line(form: Form, name: str) -> str:
    """Return a field in one line."""
    return " ".join(form.get(name, "").split())


def lines(form: Form, name: str) -> list[str]:
    """Return the lines of a field that are not blank."""
    return [text.strip() for text in text_of(form, name).split("\n") if text.strip()]


def text_of(form: Form, name: str) -> str:
    return normalize_line_ends(form.get(name, "")).strip()


# To the form


def fill_answers(form: Form, definition: Mapping[str, Any]) -> None:
    """Set the fields of the answers of a rule's definition, and of how they are picked."""
    form["pick"] = definition.get("pick", "all")
    for number, answer in enumerate(definition.get("answers", ())):
        fill_answer(form, f"answers[{number}]", answer)


def fill(form: Form, path: str, values: Mapping[str, Any]) -> None:
    """Set the fields below `path`."""
    for name, value in values.items():
        form.setlist(
            f"{path}.{name}", [str(item) for item in (value if isinstance(value, list) else [value])]
        )


def fill_answer(form: Form, path: str, answer: Mapping[str, Any]) -> None:
    """Set the fields of an answer."""
    for name, value in answer.items():
        field = f"{path}.{name}"
        if name in FILE_FIELDS:
            form[f"{field}.{answer['kind']}"] = str(value)
        elif name == "choices":
            form[field] = "\n".join(value)
        elif name == "articles":
            for number, article in enumerate(value):
                fill(form, f"{field}[{number}]", article)
        elif name == "article":
            fill(form, field, value)
        elif value is not False:
            form[field] = str(value)


# Lists in the form


def changed(form: Form) -> Form | None:
    """Return the form with an item of a list added, removed or moved up, as a button says; else None."""
    if name := form.get("add"):
        form = form.copy()
        kind = "kind" if name == "answers" else "title"
        form[f"{name}[{_next(form, name)}].{kind}"] = "text" if name == "answers" else ""
        return form
    if path := form.get("remove"):
        return Form(
            (name, value) for name, value in form.items(multi=True) if not name.startswith(f"{path}.")
        )
    if path := form.get("up"):
        return _moved_up(form, path)
    return None


def _next(form: Form, name: str) -> int:
    found = paths(form, name)
    return int(found[-1].rpartition("[")[2].rstrip("]")) + 1 if found else 0


def _moved_up(form: Form, path: str) -> Form:
    """Return the form in which an item has changed places with the one before it."""
    items = paths(form, path.rpartition("[")[0])
    number = items.index(path) if path in items else 0
    if number == 0:
        return form
    other = items[number - 1]

    def place(name: str) -> str:
        for here, there in ((path, other), (other, path)):
            if name.startswith(f"{here}."):
                return there + name.removeprefix(here)
        return name

    return Form((place(name), value) for name, value in form.items(multi=True))


# Problems


def field_of(path: str, form: Form) -> str:
    """Return the field of the form that is at the path of a problem."""
    for name in (r"answers", r"answers?(?:\[\d+\])?\.articles"):
        if found := re.match(rf"({name})\[(\d+)\](.*)", path):
            path = paths(form, found[1])[int(found[2])] + found[3]  # the form may have gaps between numbers
    parent, _, name = path.rpartition(".")
    if name in FILE_FIELDS:
        return f"{path}.{form.get(f'{parent}.kind', 'text')}"
    return re.sub(r"\.choices\[\d+\]$", ".choices", path)
