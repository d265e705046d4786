"""A migration keeps what the release before needs, or says which release needed it last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.expanding import problems

ROOT = Path(__file__).parent.parent
BASELINE = 29
"""The last migration that was written before releases had to run beside each other."""
MIGRATIONS = sorted((ROOT / "migrations/versions").glob("*.py"))
RELEASED = re.findall(r"^## \[?(\d[\w.]*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

BREAKING = {
    'op.drop_table("tags")': "drops a table",
    'op.drop_column("tags", "colour")': "drops a column",
    'op.rename_table("tags", "labels")': "renames a table",
    'op.alter_column("tags", "name", new_column_name="title")': "renames a column",
    'op.alter_column("tags", "name", existing_type=sa.Text(), nullable=False)': "forbids NULL in a column",
    'op.add_column("tags", sa.Column("kind", sa.String(8), nullable=False))': (
        "adds a column that must not be NULL and has no server_default"
    ),
    'op.alter_column("tags", "name", existing_type=sa.String(64), type_=sa.String(32))': (
        "changes the type of a column"
    ),
    'op.alter_column("tags", "name", type_=sa.String(128))': "changes the type of a column",
    'op.execute("ALTER TABLE tags DROP COLUMN colour")': "drops a column",
    'op.execute(f"ALTER TABLE {TABLE} ALTER COLUMN name SET NOT NULL")': "forbids NULL in a column",
    "op.execute(SQL)": "renames a table or column",
    "tidy()": "drops a column",
}
HARMLESS = [
    'op.create_table("labels", sa.Column("name", sa.String(64), nullable=False))',
    'op.add_column("tags", sa.Column("kind", sa.String(8)))',
    'op.add_column("tags", sa.Column("kind", sa.String(8), nullable=False, server_default=""))',
    'op.alter_column("tags", "name", existing_type=sa.String(64), type_=sa.String(128))',
    'op.alter_column("tags", "id", existing_type=sa.Integer(), type_=sa.BigInteger())',
    'op.alter_column("tags", "colour", existing_type=sa.String(8), nullable=True)',
]


def migration(upgrade: str) -> str:
    return f"""
TABLE = "tags"
SQL = "ALTER TABLE tags RENAME TO labels"

def tidy():
    with op.batch_alter_table("tags") as tags:
        tags.drop_column("colour")

def upgrade():
    {upgrade}

def downgrade():
    op.drop_table("labels")
"""


@pytest.mark.parametrize(("upgrade", "problem"), BREAKING.items())
def test_what_the_release_before_cannot_bear_is_found(upgrade: str, problem: str) -> None:
    assert problems(migration(upgrade), released=[]) == [problem]


@pytest.mark.parametrize("upgrade", HARMLESS)
def test_what_it_can_bear_is_accepted(upgrade: str) -> None:
    assert problems(migration(upgrade), released=[]) == []


def test_what_no_release_needs_any_more_may_go() -> None:
    contraction = f'contracts_after = "0.2"\n{migration("tidy()")}'
    assert problems(contraction, released=["0.2", "0.1"]) == []
    assert problems(contraction, released=["0.1"]) == ["waits for the release 0.2"]


def test_every_migration_keeps_what_the_release_before_needs() -> None:
    since = [path for path in MIGRATIONS if int(path.name[:4]) > BASELINE]
    found = {path.name: problems(path.read_text(encoding="utf-8"), RELEASED) for path in since}
    assert {name: each for name, each in found.items() if each} == {}
