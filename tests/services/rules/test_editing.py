"""What operators change of rules, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from tests.conftest import MakeApp
from wechat_bot.database.transactions import transaction
from wechat_bot.extensions import db
from wechat_bot.models import AuditEntry, Change, LibraryFile
from wechat_bot.models.rows import new_row
from wechat_bot.routing.definitions import MAX_RULES, Rule
from wechat_bot.routing.strict_json import InvalidDefinition, ProblemCode
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.audit import Actor
from wechat_bot.services.rules import editing, reading
from wechat_bot.services.rules.editing import RuleConflict, RuleNotFound

ACTOR = Actor(None, "li", "192.0.2.1")


def definition(name: str = "价格", say: str = "十元", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "trigger": {"type": "text"},
        "answers": [{"kind": "text", "text": say}],
        "patterns": [{"match": "contains", "text": name}],
        **more,
    }


@pytest.fixture
def engine(make_app: MakeApp, any_database: str) -> Iterator[Engine]:
    app = make_app(database_url=any_database)
    with app.app_context():
        yield db.engine
        db.engine.dispose()


@pytest.fixture
def account_id(engine: Engine) -> int:
    return ensure_account(engine, "wx1")


def names(engine: Engine, account_id: int) -> list[str]:
    return [entry.rule.name for entry in reading.entries(engine, account_id)]


def add(engine: Engine, account_id: int, *names: str) -> list[int]:
    return [editing.create(engine, ACTOR, account_id, definition(name)).id for name in names]


def version(engine: Engine, account_id: int) -> int:
    with engine.connect() as connection:
        return reading.set_version(connection, account_id)


def audited(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        found = select(AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id)
        return [(action, subject) for action, subject in connection.execute(found)]


def test_rules_are_added_behind_the_others_and_moved(engine: Engine, account_id: int) -> None:
    ids = add(engine, account_id, "a", "b", "c", "d")
    editing.move(engine, ACTOR, account_id, ids[3], 2)
    assert names(engine, account_id) == ["a", "d", "b", "c"]
    editing.move(engine, ACTOR, account_id, ids[0], 99)
    assert names(engine, account_id) == ["d", "b", "c", "a"]
    assert [entry.position for entry in reading.entries(engine, account_id)] == [1, 2, 3, 4]


def test_every_change_is_a_version_of_the_rule_and_in_the_audit_log(engine: Engine, account_id: int) -> None:
    before = version(engine, account_id)
    created = editing.create(engine, ACTOR, account_id, definition())
    row_id = created.id
    editing.save(engine, ACTOR, account_id, row_id, created.version, definition(say="十二元"))
    editing.enable(engine, ACTOR, account_id, row_id, False)
    editing.delete(engine, ACTOR, account_id, row_id)
    editing.restore(engine, ACTOR, account_id, row_id, 1)
    history = reading.history(engine, account_id, row_id)
    assert [(row.version, row.change, row.operator) for row in history] == [
        (5, Change.RESTORED, "li"),
        (4, Change.DELETED, "li"),
        (3, Change.DISABLED, "li"),
        (2, Change.EDITED, "li"),
        (1, Change.CREATED, "li"),
    ]
    assert history[0].definition == history[-1].definition == definition()
    actions = ["rule_created", "rule_edited", "rule_disabled", "rule_deleted", "rule_restored"]
    assert audited(engine) == [(action, f"rule:{row_id}") for action in actions]
    assert version(engine, account_id) == before + 5


def test_of_two_operators_the_second_learns_what_the_first_saved(engine: Engine, account_id: int) -> None:
    created = editing.create(engine, ACTOR, account_id, definition())
    editing.save(engine, ACTOR, account_id, created.id, 1, definition(say="甲"))
    with pytest.raises(RuleConflict) as caught:
        editing.save(engine, ACTOR, account_id, created.id, 1, definition(say="乙"))
    assert caught.value.mine == Rule.from_json(definition(say="乙"))
    assert (caught.value.current.version, caught.value.current.definition) == (2, definition(say="甲"))
    assert reading.entry(engine, account_id, created.id) == caught.value.current


def test_a_deleted_rule_is_gone_and_comes_back_behind_the_others(engine: Engine, account_id: int) -> None:
    ids = add(engine, account_id, "a", "b", "c")
    editing.delete(engine, ACTOR, account_id, ids[0])
    assert names(engine, account_id) == ["b", "c"]
    assert [entry.id for entry in reading.deleted(engine, account_id)] == [ids[0]]
    for change in (
        lambda: editing.delete(engine, ACTOR, account_id, ids[0]),
        lambda: editing.move(engine, ACTOR, account_id, ids[0], 1),
        lambda: editing.enable(engine, ACTOR, account_id, ids[0], False),
    ):
        with pytest.raises(RuleNotFound):
            change()
    with pytest.raises(RuleConflict):
        editing.save(engine, ACTOR, account_id, ids[0], 2, definition())
    editing.restore(engine, ACTOR, account_id, ids[0], 1)
    assert names(engine, account_id) == ["b", "c", "a"]
    assert reading.deleted(engine, account_id) == []


def test_the_id_of_a_deleted_rule_is_given_to_no_other(engine: Engine, account_id: int) -> None:
    [row_id] = add(engine, account_id, "a")
    editing.delete(engine, ACTOR, account_id, row_id)
    assert add(engine, account_id, "b") != [row_id]


def test_an_invalid_rule_changes_nothing(engine: Engine, account_id: int) -> None:
    created = editing.create(engine, ACTOR, account_id, definition())
    before = version(engine, account_id)
    with pytest.raises(InvalidDefinition):
        editing.save(engine, ACTOR, account_id, created.id, 1, definition(say=" "))
    with pytest.raises(InvalidDefinition):
        editing.create(engine, ACTOR, account_id, {})
    assert reading.entries(engine, account_id) == [created]
    assert version(engine, account_id) == before


def test_an_account_does_not_see_the_rules_of_another(engine: Engine, account_id: int) -> None:
    [row_id] = add(engine, account_id, "a")
    other = ensure_account(engine, "wx2")
    assert reading.entries(engine, other) == []
    assert reading.entry(engine, other, row_id) is None
    assert reading.history(engine, other, row_id) == []
    for change in (
        lambda: editing.delete(engine, ACTOR, other, row_id),
        lambda: editing.save(engine, ACTOR, other, row_id, 1, definition()),
        lambda: editing.restore(engine, ACTOR, other, row_id, 1),
    ):
        with pytest.raises(RuleNotFound):
            change()
    assert version(engine, other) == 0


def test_imported_rules_are_added_or_take_the_place_of_the_others(engine: Engine, account_id: int) -> None:
    add(engine, account_id, "a", "b")
    rules = [Rule.from_json(definition(name)) for name in "cd"]
    editing.add_all(engine, ACTOR, account_id, rules)
    assert names(engine, account_id) == ["a", "b", "c", "d"]
    editing.add_all(engine, ACTOR, account_id, rules, replacing=True)
    assert names(engine, account_id) == ["c", "d"]
    assert [entry.position for entry in reading.entries(engine, account_id)] == [1, 2]
    assert len(reading.deleted(engine, account_id)) == 4


def test_too_many_rules_are_refused_and_none_is_imported(engine: Engine, account_id: int) -> None:
    add(engine, account_id, "a")
    with pytest.raises(InvalidDefinition, match="rules has more than 1000"):
        editing.add_all(engine, ACTOR, account_id, [Rule.from_json(definition())] * MAX_RULES)
    many = replace(Rule.from_json(definition()), patterns=Rule.from_json(definition()).patterns * 10_000)
    with pytest.raises(InvalidDefinition, match="patterns has more than 10000"):
        editing.add_all(engine, ACTOR, account_id, [many])
    assert names(engine, account_id) == ["a"]


def test_operators_who_change_rules_at_once_leave_one_order(engine: Engine, account_id: int) -> None:
    ids = add(engine, account_id, *"abcdef")
    started = Barrier(4)

    def work(number: int) -> None:
        started.wait()
        editing.move(engine, ACTOR, account_id, ids[number], 6 - number)
        editing.create(engine, ACTOR, account_id, definition(f"n{number}"))

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = reading.entries(engine, account_id)
    assert [entry.position for entry in entries] == list(range(1, 11))
    assert {entry.rule.name for entry in entries} == {*"abcdef", "n0", "n1", "n2", "n3"}


# Files


def add_file(engine: Engine, account_id: int, **more: Any) -> int:
    values = {
        "account_id": account_id,
        "kind": "image",
        "name": "a",
        "digest": token_hex(32),
        "content_type": "image/png",
        "size": 1,
        "created_at": datetime.now(UTC),
    }
    with transaction(engine) as connection:
        inserted = connection.execute(insert(LibraryFile).values(new_row(LibraryFile, **values | more)))
        return int(inserted.inserted_primary_key[0])  # type: ignore[index]


def showing(*file_ids: int) -> dict[str, Any]:
    return definition(answers=[{"kind": "image", "file_id": file_id} for file_id in file_ids])


def problems(error: pytest.ExceptionInfo[InvalidDefinition]) -> list[tuple[str, ProblemCode]]:
    return [(problem.field, problem.code) for problem in error.value.problems]


def test_a_file_that_is_not_in_the_library_is_a_problem_of_its_field(engine: Engine, account_id: int) -> None:
    picture, voice = add_file(engine, account_id), add_file(engine, account_id, kind="voice")
    deleted = add_file(engine, account_id, deleted_at=datetime.now(UTC))
    foreign = add_file(engine, ensure_account(engine, "wx2"))
    with pytest.raises(InvalidDefinition) as refused:
        editing.create(engine, ACTOR, account_id, showing(picture, voice, deleted, foreign, 999))
    wrong = [(f"answers[{number}].file_id", ProblemCode.NO_FILE) for number in (1, 2, 3, 4)]
    assert problems(refused) == wrong
    created = editing.create(engine, ACTOR, account_id, showing(picture))
    with pytest.raises(InvalidDefinition):
        editing.save(engine, ACTOR, account_id, created.id, 1, showing(voice))
    rules = [Rule.from_json(showing(picture)), Rule.from_json(showing(voice))]
    with pytest.raises(InvalidDefinition) as refused:
        editing.add_all(engine, ACTOR, account_id, rules)
    assert problems(refused) == [("rules[1].answers[0].file_id", ProblemCode.NO_FILE)]


def test_a_version_does_not_come_back_without_its_file(engine: Engine, account_id: int) -> None:
    picture = add_file(engine, account_id)
    created = editing.create(engine, ACTOR, account_id, showing(picture))
    editing.save(engine, ACTOR, account_id, created.id, 1, definition())
    with transaction(engine) as connection:
        gone = update(LibraryFile).where(LibraryFile.id == picture)
        connection.execute(gone.values(deleted_at=datetime.now(UTC)))
    with pytest.raises(InvalidDefinition):
        editing.restore(engine, ACTOR, account_id, created.id, 1)
