"""The rules of each account, compiled once in each process and again when they have changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from threading import Lock

from sqlalchemy import Engine

from ...database.transactions import retry_conflicts
from ...routing.definitions import Rule
from ...routing.rules import RuleSet
from ...routing.strict_json import InvalidDefinition
from .reading import RuleEntry, load, set_version, versions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Edition:
    """The rules of an account at one version."""

    version: int
    rule_set: RuleSet
    read: Mapping[tuple[int, int], Rule]
    """The rules by their ids and versions, so that only those that changed are read again."""


class RuleBook:
    """Returns the rules of accounts. Thread-safe.

    `zone` is the time zone of the accounts. `media_id` returns, for the ids of an account and of a file of
    it, the platform's id of the file, and raises `routing.answers.MissingFile`.
    """

    def __init__(self, engine: Engine, zone: tzinfo, media_id: Callable[[int, int], str]) -> None:
        self._engine = engine
        self._zone = zone
        self._media_id = media_id
        self._nothing = _Edition(0, RuleSet({}, zone), {})
        self._editions: dict[int, _Edition] = {}
        self._lock = Lock()

    def latest(self, account_id: int) -> tuple[int, RuleSet]:
        """Return the version that the rules of an account have just now, and the rules: of it, or newer."""
        with self._engine.connect() as connection:
            version = set_version(connection, account_id)
        return version, self.current(account_id, version, wait=True)

    def current(self, account_id: int, version: int, *, wait: bool = False) -> RuleSet:
        """Return the rules of an account, of which the database had `version` (`RuleSetVersion`) just now.

        One thread loads what has changed, and the others go on with what they have, unless they `wait`.
        """
        held = self._editions.get(account_id, None if version else self._nothing)
        if held and held.version == version:
            return held.rule_set
        if not self._lock.acquire(blocking=wait or held is None):
            assert held
            return held.rule_set
        try:
            held = self._editions.get(account_id, self._nothing)
            if held.version != version:
                held = self._editions[account_id] = self._load(account_id, held)
            return held.rule_set
        finally:
            self._lock.release()

    @retry_conflicts
    def _load(self, account_id: int, before: _Edition) -> _Edition:
        with self._engine.connect() as connection:
            # Rules that are changed between these are loaded once more, since the version is the older one.
            version = set_version(connection, account_id)
            current = versions(connection, account_id)
            changed = {rule_id for rule_id, number in current if (rule_id, number) not in before.read}
            entries = load(connection, account_id, changed) if changed else []
        read = dict(_read(entries))
        rules = {key: rule for key in current if (rule := before.read.get(key) or read.get(key))}
        by_id = {rule_id: rule for (rule_id, _), rule in rules.items()}
        return _Edition(version, RuleSet(by_id, self._zone, partial(self._media_id, account_id)), rules)


def _read(entries: Iterable[RuleEntry]) -> Iterator[tuple[tuple[int, int], Rule]]:
    """Yield the rules by their ids and versions, without those that another release has written."""
    for entry in entries:
        try:
            yield (entry.id, entry.version), entry.rule
        except InvalidDefinition as error:
            log.error("rule %d is left out: %s", entry.id, error)
