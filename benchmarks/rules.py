"""``rules``: measures how rules are matched, explained, and compiled when they have changed."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from wechat_bot.routing import Context
from wechat_bot.routing.definitions import MAX_PATTERNS, MAX_RULES, Rule
from wechat_bot.routing.rules import RuleSet
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.parsing import parse

from . import rules_in_use
from .options import Options
from .report import Report, table, verdict

GOAL_MATCH = 50.0
"""Maximum median in microseconds."""
GOAL_COMPILE = 100.0
"""Maximum median in milliseconds."""
GOALS = {
    "load them in a new process": 100.0,
    "load them after a change": 100.0,
    "compare 1,000 real messages with an edited rule": 1000.0,
    "the list of rules": 200.0,
    "its last page": 200.0,
    "a search in it": 200.0,
    "the list after a change": 200.0,
}
"""Maximum medians in milliseconds."""
ZONE = ZoneInfo("Asia/Shanghai")
PATTERNS = MAX_PATTERNS // MAX_RULES
"""Patterns of each rule."""
EXPRESSIONS = 100
"""Rules of which one pattern is a regular expression."""
LONG = 680
"""Characters of a text that fills a message."""

_KINDS = ("contains", "contains", "contains", "whole", "whole", "starts", "words")
_CHARACTERS = [chr(code) for code in range(0x4E00, 0x4E00 + 1500)]


def run(options: Options) -> Report:
    rng = random.Random(1)
    definitions = [_definition(rng, f"规则 {number}", number < EXPRESSIONS) for number in range(MAX_RULES)]
    keywords = [pattern["text"] for definition in definitions for pattern in definition["patterns"]]
    rules = [Rule.from_json(definition) for definition in definitions]
    rule_set = _compile(rules)
    short = {
        "a text that no rule takes": [_word(rng, 2, 20) for _ in range(1000)],
        "a text with a keyword": [f"请问{rng.choice(keywords)}吗" for _ in range(1000)],
    }
    long = [_word(rng, LONG, LONG) for _ in range(100)]
    message, ctx = _message(f"请问{keywords[-1]}吗"), Context()
    repeat = options.rounds
    rows = [
        *(
            _row(f"match: {name}", _match(rule_set, several, repeat), "µs", GOAL_MATCH)
            for name, several in short.items()
        ),
        _row(f"match: a text of {LONG} characters", _match(rule_set, long, repeat), "µs"),
        _row("compile what has been read", _times(lambda: _compile(rules), repeat, 1e3), "ms", GOAL_COMPILE),
        _row("read all definitions", _times(lambda: [*map(Rule.from_json, definitions)], repeat, 1e3), "ms"),
        _row("explain a message", _times(lambda: rule_set.explain(message, ctx), repeat, 1e3), "ms"),
        _row("compile, and find shadowed rules", _times(lambda: _compile(rules).shadowed, repeat, 1e3), "ms"),
    ]
    rows += _rows_in_use(
        rules, [*short["a text that no rule takes"], *short["a text with a keyword"]], repeat
    )
    head = [f"{MAX_RULES:,} rules, {MAX_PATTERNS:,} patterns", "median", "95 of 100", "wanted", ""]
    return Report(table(head, rows))


def _rows_in_use(rules: Sequence[Rule], texts: Sequence[str], rounds: int) -> list[list[str]]:
    """Return the rows of what operators and followers wait for."""
    times = rules_in_use.measure(rules, texts[::2], rounds)
    rows = [_row(name, found, "ms", GOALS.get(name)) for name, found in times.items()]
    live = rules_in_use.measure_change(rules)
    rows.append(["a change is live in every process", f"{live * 1e3:.0f} ms", "", "≤ 1 s", verdict(live, 1)])
    seconds, count = rules_in_use.measure_import()
    name = f"import of {count} rules with pictures from the simulator"
    return [*rows, [name, f"{seconds:.1f} s", "", "≤ 120 s", verdict(seconds, 120)]]


def _definition(rng: random.Random, name: str, has_expression: bool) -> dict[str, Any]:
    patterns = [
        {"match": match, "text": _word(rng, 2, 6) + (" " + _word(rng, 2, 4) if match == "words" else "")}
        for match in rng.choices(_KINDS, k=PATTERNS)
    ]
    if has_expression:
        patterns[0] = {"match": "pattern", "text": _word(rng, 2, 4) + r"\s*(?P<number>\d+)"}
    answers = [{"kind": "text", "text": "好的，{{name|朋友}}。"}]
    return {"name": name, "trigger": {"type": "text"}, "patterns": patterns, "answers": answers}


def _word(rng: random.Random, shortest: int, longest: int) -> str:
    return "".join(rng.choices(_CHARACTERS, k=rng.randint(shortest, longest)))


def _message(content: str) -> TextMessage:
    fields = {"ToUserName": "gh_1", "FromUserName": "o1", "MsgType": "text", "Content": content}
    message = parse({**fields, "MsgId": "1", "CreateTime": "1767225600"})
    assert isinstance(message, TextMessage)
    return message


def _compile(rules: Sequence[Rule]) -> RuleSet:
    return RuleSet(dict(enumerate(rules, 1)), ZONE)


def _match(rule_set: RuleSet, texts: Sequence[str], rounds: int) -> list[float]:
    """Return the microseconds of each match; no text is looked for twice in a row, as by real followers."""
    messages, ctx, found = list(map(_message, texts)), Context(), []
    for _ in range(rounds):
        for message in messages:
            started = time.perf_counter()
            rule_set.find(message, ctx)
            found.append((time.perf_counter() - started) * 1e6)
    return found


def _times(call: Callable[[], object], rounds: int, unit: float) -> list[float]:
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        found.append((time.perf_counter() - started) * unit)
    return found


def _row(name: str, times: Sequence[float], unit: str, goal: float | None = None) -> list[str]:
    median, slow = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    wanted = [f"≤ {goal:.0f} {unit}", verdict(median, goal)] if goal else ["", ""]
    return [name, f"{median:.1f} {unit}", f"{slow:.1f} {unit}", *wanted]
