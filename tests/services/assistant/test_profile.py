"""What a profile must not contain."""

from __future__ import annotations

import pytest

from wechat_bot.routing import strict_json
from wechat_bot.routing.strict_json import InvalidDefinition
from wechat_bot.services.assistant.profile import AssistantProfile

ON = {"enabled": True, "base_url": "http://127.0.0.1:11434/v1", "model": "qwen3"}


def problems(**changes: object) -> set[str]:
    try:
        strict_json.read(AssistantProfile, changes)
    except InvalidDefinition as error:
        return {problem.field for problem in error.problems}
    return set()


def test_nothing_is_needed_until_the_assistant_is_on() -> None:
    assert problems() == set()
    assert problems(enabled=True) == {"base_url", "model"}
    assert problems(**ON) == set()


def test_what_is_read_is_what_was_written() -> None:
    profile = AssistantProfile(price_in=0.5, threshold=1.0, blocked_in=("赌博",), label="〔AI〕")
    assert strict_json.read(AssistantProfile, strict_json.to_json(profile)) == profile
    assert strict_json.to_json(AssistantProfile()) == {}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/v1",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "example.com/v1",
        "https://",
        "https://user:secret@example.com/v1",
        "https://example.com/v1?key=secret",
        "https://example.com/v1#top",
        "https://example.com:port/v1",
        "https://example.com/v1\nHost: evil",
        "https://[::1/v1",
    ],
)
def test_an_endpoint_is_an_address_of_http(url: str) -> None:
    assert problems(base_url=url) == {"base_url"}


@pytest.mark.parametrize(
    "text", ["{", "[]", "7", '"x"', '{"model": "other"}', '{"messages": []}', '{"stream": false}', "[" * 999]
)
def test_extra_parameters_are_an_object_and_replace_none_of_ours(text: str) -> None:
    assert problems(extra_parameters=text) == {"extra_parameters"}
    assert problems(extra_parameters='{"thinking": {"type": "disabled"}}') == set()


@pytest.mark.parametrize("label", ["", " ", "\u3000", "长" * 61])
def test_the_label_is_there_and_short(label: str) -> None:
    assert problems(label=label) == {"label"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 1.01),
        ("threshold", -0.1),
        ("threshold", float("nan")),
        ("threshold", True),
        ("daily_yuan", 10**400),
        ("threshold", "0.5"),
        ("daily_yuan", float("inf")),
        ("max_tokens", 0),
        ("timeout", 601),
        ("memory_turns", -1),
        ("per_minute", 0),
        ("price_in", -1),
        ("enabled", 1),
        ("instructions", "长" * 8001),
        ("unknown_text", " "),
        ("reset_words", [7]),
        ("blocked_out", "赌博"),
        ("key", "sk-secret"),
    ],
)
def test_a_value_outside_its_range_is_named(name: str, value: object) -> None:
    assert {field.partition("[")[0] for field in problems(**{name: value})} == {name}


def test_a_blank_or_long_word_is_named_by_its_place() -> None:
    assert problems(blocked_in=["赌博", " ", "长" * 65]) == {"blocked_in[1]", "blocked_in[2]"}
    assert problems(blocked_in=["赌"] * 1001) == {"blocked_in"}
