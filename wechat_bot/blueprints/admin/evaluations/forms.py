"""The form of a question of an evaluation, and its definition, each made from the other."""

from __future__ import annotations

import re
from typing import Any

from ....application import row_id
from ....routing.strict_json import Problem
from ....services.evaluations.definitions import Case, Expected
from ..answers.forms import Form, line, lines, text_of

_FIELD = re.compile(r"([a-z_]+)(?:\[(\d+)\])?")


def definition_of(form: Form) -> dict[str, Any]:
    """Return the question in a form, which may have problems."""
    expected = form.get("expected", Expected.ANSWER)
    found: dict[str, Any] = {"question": text_of(form, "question"), "expected": expected}
    if expected == Expected.RULE:
        found["rule"] = form.get("rule", default=0, type=row_id)
    elif expected == Expected.ANSWER:
        values = {"contains": lines(form, "contains"), "excludes": lines(form, "excludes")}
        found |= {**values, "source": line(form, "source")}
    return found


def form_of(case: Case) -> Form:
    """Return the form that has a question in it."""
    return Form(
        {
            "question": case.question,
            "expected": str(case.expected),
            "contains": "\n".join(case.contains),
            "excludes": "\n".join(case.excludes),
            "source": case.source,
            "rule": str(case.rule or ""),
        }
    )


def field_of(problem: Problem, definition: dict[str, Any]) -> tuple[str, str]:
    """Return the field of the form that has a problem, and the item of it, such as a word."""
    match = _FIELD.fullmatch(problem.field)
    assert match, problem
    name, number = match.groups()
    return name, str(definition[name][int(number)]) if number else ""


def draft_of(form: Form) -> dict[str, Any]:
    """Return the fields of a draft of the assistant's profile that are filled in."""
    found: dict[str, Any] = {"instructions": text_of(form, "instructions"), "model": line(form, "model")}
    if threshold := line(form, "threshold"):
        try:
            found["threshold"] = float(threshold)
        except ValueError:
            found["threshold"] = threshold
    return {name: value for name, value in found.items() if value != ""}
