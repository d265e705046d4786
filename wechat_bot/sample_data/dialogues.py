"""Parser of the scripted dialogues in ``dialogues.txt``, whose format is::

    = topic weight
    > text that the follower writes
    >kind another message or event; fields are separated by bars
    < handler: the bot's answer; without this line, the bot's own handlers answer
    < handler kind: a reply that is no text; nothing after the colon means no reply
      an indented line continues the one above
    ~ minutes that pass

``{tea}`` is replaced by a word of `vocabulary`, the same in a whole dialogue, ``{yes|no}`` by one of both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import pairwise
from random import Random

from .vocabulary import WORDS


@dataclass(frozen=True)
class ScriptedAnswer:
    """The bot's answer. `origin` names the handler; without `words` there is no reply."""

    origin: str
    kind: str
    words: str


@dataclass(frozen=True)
class DialogueLine:
    """A message or event of the follower, `pause` minutes after the last, and the bot's answer to it.

    Without an `answer`, the bot's own handlers answer.
    """

    kind: str
    words: str
    answer: ScriptedAnswer | None = None
    pause: int = 0


@dataclass(frozen=True)
class Dialogue:
    topic: str
    weight: int
    lines: tuple[DialogueLine, ...]


@cache
def dialogues() -> tuple[Dialogue, ...]:
    text = resources.files(__package__).joinpath("dialogues.txt").read_text(encoding="utf-8")
    rows = [row for row in text.replace("\n  ", "\v").split("\n") if row and not row.startswith("#")]
    starts = [number for number, row in enumerate(rows) if row.startswith("= ")]
    return tuple(_dialogue(rows[start:end]) for start, end in pairwise([*starts, len(rows)]))


def _dialogue(rows: list[str]) -> Dialogue:
    _, topic, weight = rows[0].split()
    lines: list[DialogueLine] = []
    pause = 0
    for row in rows[1:]:
        mark, rest = row[0], row[1:].replace("\v", "\n")
        if mark == "~":
            pause = int(rest)
        elif mark == "<":
            name, _, words = rest.partition(":")
            origin, _, kind = name.strip().partition(" ")
            lines[-1] = replace(
                lines[-1], answer=ScriptedAnswer(f"shop.{origin}", kind or "text", words.strip())
            )
        else:
            kind, _, words = rest.partition(" ")
            lines.append(DialogueLine(kind or "text", words, pause=pause))
            pause = 0
    return Dialogue(topic, int(weight), tuple(lines))


_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def expand(words: str, rng: Random, chosen: dict[str, str]) -> str:
    """Replace the placeholders in `words`. `chosen` keeps the values of named ones for the whole dialogue."""

    def choose(placeholder: re.Match[str]) -> str:
        name: str = placeholder[1]
        if "|" in name:
            return rng.choice(name.split("|"))
        if name not in chosen:
            word = WORDS[name]
            chosen[name] = word(rng) if callable(word) else rng.choice(word)
        return chosen[name]

    return _PLACEHOLDER.sub(choose, words) if "{" in words else words
