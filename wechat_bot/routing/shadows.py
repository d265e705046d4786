"""Finds rules that can never answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from .definitions import Audience, FollowerKind, MatchKind, Pattern, Rule, Schedule, Trigger, TriggerKind
from .text_index import TextIndex

_ANYWHERE = frozenset({MatchKind.CONTAINS, MatchKind.WORDS})
_TAKERS = {
    MatchKind.CONTAINS: _ANYWHERE,
    MatchKind.WORDS: _ANYWHERE,
    MatchKind.NUMBER: _ANYWHERE | {MatchKind.NUMBER},
    MatchKind.STARTS: _ANYWHERE | {MatchKind.STARTS},
    MatchKind.WHOLE: _ANYWHERE | {MatchKind.STARTS, MatchKind.WHOLE, MatchKind.NUMBER},
}
"""Patterns that match every text which a pattern matches, if they match its own."""


class Shadows:
    """Finds rules that can never answer, because those before them always do.

    A rule covers a later one if it takes whatever that one takes: at any time and of any follower, or under
    the same conditions. `index` has the patterns of the enabled rules, by their positions in `rules`.
    """

    def __init__(self, rules: Sequence[Rule], index: TextIndex) -> None:
        self._rules = rules
        self._index = index
        self._expressions: dict[str, list[int]] = defaultdict(list)
        for position, rule in enumerate(self._rules):
            for pattern in rule.patterns:
                if pattern.match is MatchKind.PATTERN:
                    self._expressions[pattern.text].append(position)

    def find(self) -> Iterator[tuple[int, set[int]]]:
        """Yield the positions of shadowed rules with those of the rules that cover them."""
        for position, rule in enumerate(self._rules):
            covering = set()
            for number in self._covering(position, rule) if rule.enabled else ():
                if number is None:
                    break
                covering.add(number)
            else:
                if covering:
                    yield position, covering

    def _covering(self, position: int, rule: Rule) -> Iterator[int | None]:
        """Yield the first rule that covers each pattern of `rule`, or its trigger; None if there is none."""
        if rule.trigger.type is TriggerKind.TEXT:
            for pattern in rule.patterns:
                takers = self._takers(pattern)
                yield min((taker for taker in takers if self._covers(taker, position)), default=None)
            return
        triggers = ((number, self._rules[number].trigger) for number in range(position))
        covers = (number for number, trigger in triggers if _covers_trigger(trigger, rule.trigger))
        yield next((number for number in covers if self._covers(number, position)), None)

    def _takers(self, pattern: Pattern) -> Iterable[int]:
        """Return the positions of rules that take every text which `pattern` matches."""
        if pattern.match is MatchKind.PATTERN:
            return self._expressions[pattern.text]
        text = pattern.keyword
        if pattern.match is MatchKind.WORDS:  # nothing contains what divides them
            text = "\0".join(text.split())
        kinds = _TAKERS[pattern.match]
        found = self._index.find_keywords(text)
        return {rule for rule, number in found if self._rules[rule].patterns[number].match in kinds}

    def _covers(self, number: int, position: int) -> bool:
        """Whether the rule `number` is asked whenever the one at `position` would be, and before it."""
        if number >= position:
            return False
        first, second = self._rules[number], self._rules[position]
        return (
            first.enabled
            and not first.cool_down
            and first.schedule in (Schedule(), second.schedule)
            and first.audience in (Audience(), second.audience)
        )


def _covers_trigger(first: Trigger, second: Trigger) -> bool:
    """Whether `first`, which is not for texts, is set off whenever `second` is."""
    return (
        first.type is second.type
        and first.followers in {FollowerKind.ANY, second.followers}
        and second.scene.startswith(first.scene)
        and (not first.kinds or (second.kinds != () and {*first.kinds} >= {*second.kinds}))
        and {*first.keys} >= {*second.keys}
    )
