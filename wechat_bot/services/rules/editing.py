"""Changes the rules of an account: each change in one transaction, with its history and the audit log.

A change begins by counting up the version of the account's rules, which also lets the changes of one account
wait for each other, so that their order and number stay right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import Change, RuleSetVersion, RuleVersion, StoredRule
from ...routing.definitions import MAX_PATTERNS, MAX_RULES, Rule
from ...routing.strict_json import InvalidDefinition, Problem, ProblemCode
from .. import audit
from ..audit import Actor
from ..media import answer_files
from ..versions import version_values
from .reading import RuleEntry, find, imported, load


class RuleNotFound(LookupError):
    """The account has no such rule, or no such version of it."""


class RuleConflict(Exception):
    """Somebody else has changed the rule meanwhile; nothing was written."""

    def __init__(self, mine: Rule, current: RuleEntry) -> None:
        super().__init__(f"rule {current.id} has version {current.version} by now")
        self.mine = mine
        """What was to be saved."""
        self.current = current
        """What is stored."""


def subject(rule_id: int) -> str:
    """Return the name of a rule in the audit log."""
    return f"rule:{rule_id}"


def _nothing(_connection: Connection) -> None:
    pass


@retry_conflicts
def create(
    engine: Engine,
    actor: Actor,
    account_id: int,
    definition: object,
    *,
    also: Callable[[Connection], None] = _nothing,
) -> RuleEntry:
    """Add a rule behind the others, and do what belongs to it in the same transaction.

    :raises InvalidDefinition: if it is not valid, a file is not in the library, or there would be too many
        rules or patterns.
    """
    rule = Rule.from_json(definition)
    with _change(engine, account_id) as connection:
        also(connection)
        [created] = _add(connection, actor, account_id, [rule], Change.CREATED)
        audit.record(connection, actor, "rule_created", subject(created.id), after=created.definition)
        return created


@retry_conflicts
def save(
    engine: Engine,
    actor: Actor,
    account_id: int,
    rule_id: int,
    version: int,
    definition: object,
    *,
    also: Callable[[Connection], None] = _nothing,
) -> RuleEntry:
    """Replace `version` of a rule, and do what belongs to it in the same transaction.

    :raises InvalidDefinition: if it is not valid, a file is not in the library, or there would be too many
        patterns.
    :raises RuleNotFound: if there is no such rule.
    :raises RuleConflict: if the rule has another version by now, or is deleted.
    """
    rule = Rule.from_json(definition)
    with _change(engine, account_id) as connection:
        current = _existing(connection, account_id, rule_id)
        if current.version != version or current.position is None:
            raise RuleConflict(rule, current)
        _check_files(connection, account_id, [rule])
        also(connection)
        return _replace(connection, actor, account_id, current, rule, Change.EDITED, "rule_edited")


@retry_conflicts
def enable(engine: Engine, actor: Actor, account_id: int, rule_id: int, enabled: bool) -> RuleEntry:
    """Switch a rule on or off.

    :raises RuleNotFound: if there is no such rule, or it is deleted.
    """
    with _change(engine, account_id) as connection:
        current = _current(connection, account_id, rule_id)
        if current.rule.enabled == enabled:
            return current
        change = Change.ENABLED if enabled else Change.DISABLED
        rule = replace(current.rule, enabled=enabled)
        return _replace(connection, actor, account_id, current, rule, change, f"rule_{change}")


@retry_conflicts
def delete(engine: Engine, actor: Actor, account_id: int, rule_id: int) -> None:
    """Delete a rule, which `restore` brings back.

    :raises RuleNotFound: if there is no such rule, or it is deleted already.
    """
    with _change(engine, account_id) as connection:
        current = _current(connection, account_id, rule_id)
        _write(connection, actor, replace(current, position=None), current.definition, Change.DELETED)
        _renumber(connection, account_id, [entry.id for entry in load(connection, account_id)])
        audit.record(connection, actor, "rule_deleted", subject(rule_id), before=current.definition)


@retry_conflicts
def restore(engine: Engine, actor: Actor, account_id: int, rule_id: int, version: int) -> RuleEntry:
    """Make an earlier version of a rule the present one. A deleted rule comes back behind the others.

    :raises RuleNotFound: if there is no such version.
    :raises InvalidDefinition: if it is valid no more, a file is not in the library any more, or there would
        be too many rules or patterns.
    """
    with _change(engine, account_id) as connection:
        current = _existing(connection, account_id, rule_id)
        this = RuleVersion.rule_id == rule_id, RuleVersion.version == version
        definition = connection.scalar(select(RuleVersion.definition).where(*this))
        if definition is None:
            raise RuleNotFound
        if current.position is None:
            current = replace(current, position=len(load(connection, account_id)) + 1)
        rule = Rule.from_json(definition)
        _check_files(connection, account_id, [rule])
        return _replace(connection, actor, account_id, current, rule, Change.RESTORED, "rule_restored")


@retry_conflicts
def move(engine: Engine, actor: Actor, account_id: int, rule_id: int, position: int) -> None:
    """Move a rule to a place among the others; 1 is the first, and places beyond the last are the last.

    :raises RuleNotFound: if there is no such rule, or it is deleted.
    """
    with _change(engine, account_id) as connection:
        current = _current(connection, account_id, rule_id)
        ids = [entry.id for entry in load(connection, account_id) if entry.id != rule_id]
        ids.insert(max(0, position - 1), rule_id)
        _renumber(connection, account_id, ids)
        after = ids.index(rule_id) + 1
        audit.record(connection, actor, "rule_moved", subject(rule_id), before=current.position, after=after)


@retry_conflicts
def add_all(
    engine: Engine, actor: Actor, account_id: int, rules: Sequence[Rule], *, replacing: bool = False
) -> list[RuleEntry]:
    """Add imported rules behind the others, or, if they are `replacing`, instead of the others.

    :raises InvalidDefinition: if a file is not in the library, or there would be too many rules or patterns;
        nothing is imported then.
    """
    with _change(engine, account_id) as connection:
        replaced = load(connection, account_id) if replacing else []
        for old in replaced:
            _write(connection, actor, replace(old, position=None), old.definition, Change.DELETED)
        added = _add(connection, actor, account_id, rules, Change.IMPORTED)
        names = [entry.rule.name for entry in replaced], [rule.name for rule in rules]
        audit.record(connection, actor, "rules_imported", before=names[0] or None, after=names[1])
        return added


@retry_conflicts
def add_missing(engine: Engine, actor: Actor, account_id: int, rules: Sequence[Rule]) -> list[RuleEntry]:
    """Add those of `rules` behind the others that were not imported before, and return them.

    :raises InvalidDefinition: if a file is not in the library, or there would be too many rules or patterns;
        nothing is imported then.
    """
    with _change(engine, account_id) as connection:
        known = imported(connection, account_id)
        missing = [rule for rule in rules if not any(each.comes_from(rule.to_json()) for each in known)]
        if not missing:
            return []
        added = _add(connection, actor, account_id, missing, Change.IMPORTED)
        audit.record(connection, actor, "rules_imported", after=[rule.name for rule in missing])
        return added


@contextmanager
def _change(engine: Engine, account_id: int) -> Iterator[Connection]:
    """A transaction that changes rules, one at a time for each account."""
    this = RuleSetVersion.account_id == account_id
    counted = update(RuleSetVersion).where(this).values(version=RuleSetVersion.version + 1)
    with transaction(engine) as connection:
        if not connection.execute(counted).rowcount:
            connection.execute(insert(RuleSetVersion).values(account_id=account_id, version=1))
        yield connection


def _existing(connection: Connection, account_id: int, rule_id: int) -> RuleEntry:
    """Return a rule, which may be deleted.

    :raises RuleNotFound: if there is no such rule.
    """
    found = find(connection, account_id, rule_id)
    if found is None:
        raise RuleNotFound
    return found


def _current(connection: Connection, account_id: int, rule_id: int) -> RuleEntry:
    """Return a rule that is not deleted.

    :raises RuleNotFound: if there is no such rule.
    """
    found = _existing(connection, account_id, rule_id)
    if found.position is None:
        raise RuleNotFound
    return found


def _add(
    connection: Connection, actor: Actor, account_id: int, rules: Sequence[Rule], change: Change
) -> list[RuleEntry]:
    _check_files(connection, account_id, rules)
    others = load(connection, account_id)
    _check_limits([*(entry.definition for entry in others), *(rule.to_json() for rule in rules)])
    added = []
    for position, rule in enumerate(rules, len(others) + 1):
        values = {"account_id": account_id, "position": position, "definition": rule.to_json(), "version": 1}
        inserted = connection.execute(insert(StoredRule).values(values))
        rule_id: int = inserted.inserted_primary_key[0]  # type: ignore[index]
        added.append(RuleEntry(rule_id, position, 1, rule.to_json()))
    _add_history(connection, actor, added, change)
    return added


def _replace(
    connection: Connection,
    actor: Actor,
    account_id: int,
    current: RuleEntry,
    rule: Rule,
    change: Change,
    action: str,
) -> RuleEntry:
    """Make `rule` the present version of `current`, whose position is the one that it shall have."""
    others = (entry.definition for entry in load(connection, account_id) if entry.id != current.id)
    definition = rule.to_json()
    _check_limits([*others, definition])
    audit.record(connection, actor, action, subject(current.id), before=current.definition, after=definition)
    return _write(connection, actor, current, definition, change)


def _write(
    connection: Connection, actor: Actor, entry: RuleEntry, definition: dict[str, Any], change: Change
) -> RuleEntry:
    """Store a version of a rule, and add it to the history."""
    written = replace(entry, version=entry.version + 1, definition=definition)
    values = {"position": written.position, "version": written.version, "definition": definition}
    connection.execute(update(StoredRule).where(StoredRule.id == entry.id).values(values))
    _add_history(connection, actor, [written], change)
    return written


def _add_history(connection: Connection, actor: Actor, entries: Sequence[RuleEntry], change: Change) -> None:
    rows = [
        {"rule_id": entry.id, **version_values(actor, change, entry.version, entry.definition)}
        for entry in entries
    ]
    if rows:
        connection.execute(insert(RuleVersion), rows)


def _renumber(connection: Connection, account_id: int, ids: Sequence[int]) -> None:
    """Give the rules with these ids the positions 1, 2, 3, …"""
    before = {entry.id: entry.position for entry in load(connection, account_id)}
    moved = [
        {"rule": rule_id, "to": position}
        for position, rule_id in enumerate(ids, 1)
        if before[rule_id] != position
    ]
    if moved:
        statement = update(StoredRule).where(StoredRule.id == bindparam("rule"))
        connection.execute(statement.values(position=bindparam("to")), moved)


def _check_files(connection: Connection, account_id: int, rules: Sequence[Rule]) -> None:
    """Check that the files of rules are in the library.

    :raises InvalidDefinition: if one is not; of several rules, the field begins with the number of the rule.
    """
    answers = {
        f"rules[{place}].answers[{number}]" if len(rules) > 1 else f"answers[{number}]": answer
        for place, rule in enumerate(rules)
        for number, answer in enumerate(rule.to_json()["answers"])
    }
    if problems := tuple(answer_files.problems(connection, account_id, answers)):
        raise InvalidDefinition(problems)


def _check_limits(definitions: Sequence[dict[str, Any]]) -> None:
    """Check the number of rules and patterns of an account.

    :raises InvalidDefinition: if there are too many.
    """
    problems = []
    if len(definitions) > MAX_RULES:
        problems.append(Problem("rules", ProblemCode.TOO_MANY, str(MAX_RULES)))
    if sum(len(definition.get("patterns", ())) for definition in definitions) > MAX_PATTERNS:
        problems.append(Problem("patterns", ProblemCode.TOO_MANY, str(MAX_PATTERNS)))
    if problems:
        raise InvalidDefinition(tuple(problems))
