"""The form of the assistant's profile and its definition, each made from the other.

A field of the form has the name that it has in the definition. Lists have an item in each line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext

from ....routing import strict_json
from ....routing.strict_json import Problem
from ....services.assistant.profile import AssistantProfile
from ....simulator.language_model import EMBEDDING, STAND_IN
from ..answers.forms import Form, line, lines, text_of

_DEFAULTS = {field.name: field.default for field in fields(AssistantProfile)}
_LONG = {"instructions", "unknown_text"}
"""Texts of several lines."""
_WHOLE = re.compile(r"-?\d{1,15}")
_DECIMAL = re.compile(r"-?\d{1,12}(\.\d{1,9})?")


@dataclass(frozen=True)
class Preset:
    """A provider's values for the fields of the model."""

    label: Any
    base_url: str
    model: str
    region: Any
    embedding_model: str = ""
    extra_parameters: str = ""
    """By which the model is told not to think first, which followers would wait for."""


PRESETS = {
    "deepseek": Preset(
        "DeepSeek",
        "https://api.deepseek.com/v1",
        "deepseek-v4-flash",
        lazy_gettext("中国大陆"),
        extra_parameters='{"thinking": {"type": "disabled"}}',
    ),
    "qwen": Preset(
        lazy_gettext("通义千问（阿里云百炼）"),
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "qwen-plus",
        lazy_gettext("中国大陆"),
        "text-embedding-v4",
        '{"enable_thinking": false}',
    ),
    "doubao": Preset(
        lazy_gettext("豆包（火山方舟）"),
        "https://ark.cn-beijing.volces.com/api/v3",
        "doubao-seed-1-6-251015",
        lazy_gettext("中国大陆"),
        extra_parameters='{"thinking": {"type": "disabled"}}',
    ),
    "ollama": Preset(
        "Ollama",
        "http://127.0.0.1:11434/v1",
        "qwen3:8b",
        lazy_gettext("自己的服务器"),
        extra_parameters='{"reasoning_effort": "none"}',
    ),
}


def stand_in(server_url: str) -> Preset:
    """Return the preset of the simulator's model, which the server at `server_url` plays."""
    label, region = lazy_gettext("模拟器的替身（不要密钥）"), lazy_gettext("自己的服务器")
    return Preset(label, f"{server_url}/simulator/model/v1", STAND_IN, region, EMBEDDING)


def definition_of(form: Form) -> dict[str, Any]:
    """Return the definition in a form, which may have problems."""
    return {name: _value(form, name, default) for name, default in _DEFAULTS.items()}


def _value(form: Form, name: str, default: Any) -> Any:
    match default:
        case bool():
            return name in form
        case int():
            text = line(form, name)
            return int(text) if _WHOLE.fullmatch(text) else text
        case float():
            text = line(form, name)
            return float(text) if _DECIMAL.fullmatch(text) else text
        case tuple():
            return lines(form, name)
    if name == "base_url":
        return line(form, name).rstrip("/").removesuffix("/chat/completions")
    return text_of(form, name) if name in _LONG else line(form, name)


def form_of(profile: AssistantProfile) -> Form:
    """Return the form of a profile."""
    form = Form()
    for name in _DEFAULTS:
        value = getattr(profile, name)
        if isinstance(value, tuple):
            form[name] = "\n".join(value)
        elif isinstance(value, bool):
            if value:
                form[name] = "on"
        else:
            form[name] = decimal(value) if isinstance(value, float) else str(value)
    return form


def decimal(value: float) -> str:
    """Return a number as people write it, never with an exponent."""
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def fill(form: Form, preset: Preset) -> None:
    """Set the fields of the model to those of a provider; what was filed of another model is emptied."""
    form["base_url"], form["model"] = preset.base_url, preset.model
    form["region"], form["embedding_model"] = str(preset.region), preset.embedding_model
    form["extra_parameters"], form["filing"] = preset.extra_parameters, ""
    form.pop("sees_pictures", None)


def field_of(problem: Problem, definition: Mapping[str, Any]) -> tuple[str, str]:
    """Return the field of the form that has a problem, and the item in it, if it has several."""
    name, _, number = problem.field.partition("[")
    return name, definition[name][int(number.rstrip("]"))] if number else ""


def read(form: Form) -> AssistantProfile:
    """Return the profile in a form.

    :raises strict_json.InvalidDefinition: if it is not valid.
    """
    return strict_json.read(AssistantProfile, definition_of(form))
