"""Tables by their standard names; error codes and operators of messages in columns of their own.

Revision ID: 0005
Revises: 0004
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = {  # in the order of an upgrade: "threads" takes the name that "conversations" gives up
    "conversations": "bot_sessions",
    "threads": "conversations",
    "syncs": "follower_syncs",
    "writebacks": "pending_updates",
    "hours": "hour_index",
}

messages = sa.table(
    "message_logs",
    *(sa.column(name) for name in ("id", "direction", "origin", "error", "errcode", "operator_id")),
)
others = [
    sa.table(name, *(sa.column(column) for column in ("id", "error", "errcode")))
    for name in ("follower_syncs", "pending_updates")
]


def upgrade():
    for old, new in TABLES.items():
        rename(old, new)
    op.execute("ALTER TABLE pending_updates RENAME COLUMN what TO kind")
    for table in (messages, *others):
        op.add_column(table.name, sa.Column("errcode", sa.Integer()))
    op.add_column("message_logs", sa.Column("operator_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    number = sa.cast(sa.func.substr(messages.c.origin, len("operator:") + 1), sa.BigInteger)
    by_operator = (messages.c.direction == "out", messages.c.origin.like("operator:%"))
    op.execute(messages.update().where(*by_operator, messages.c.origin != "operator:None").values(operator_id=number))
    fill_errcodes(messages, messages.c.direction == "out")
    for table in others:
        fill_errcodes(table, sa.true())


def downgrade():
    op.drop_column("message_logs", "operator_id")
    for table in (messages, *others):
        op.drop_column(table.name, "errcode")
    op.execute("ALTER TABLE pending_updates RENAME COLUMN kind TO what")
    for old, new in reversed(TABLES.items()):
        rename(new, old)


def fill_errcodes(table, condition):
    """Take the codes from the beginnings of the errors, where they stood until now."""
    connection = op.get_bind()
    failed = sa.select(table.c.id, table.c.error).where(condition, table.c.error != "")
    for row_id, error in connection.execute(failed).all():
        if code := re.match(r"-?\d+(?= |$)", error):
            connection.execute(table.update().where(table.c.id == row_id).values(errcode=int(code[0])))


def rename(old, new):
    """Rename a table with its constraints and indexes, which the naming convention calls after it.

    No foreign key refers to these tables. Where the database cannot rename constraints, it is copied.
    """
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        copy(connection, old, new)
        return
    found = sa.inspect(connection)
    foreign = found.get_foreign_keys(old)
    if connection.dialect.name == "postgresql":
        unique, indexes = found.get_unique_constraints(old), found.get_indexes(old)
        constraints = {each["name"] for each in (found.get_pk_constraint(old), *unique, *foreign)}
        op.rename_table(old, new)
        for name in constraints:
            op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT {name} TO {renamed(name, old, new)}")
        for index in indexes:
            if index["name"] not in constraints:
                op.execute(f"ALTER INDEX {index['name']} RENAME TO {renamed(index['name'], old, new)}")
        op.execute(f"ALTER SEQUENCE IF EXISTS {old}_id_seq RENAME TO {new}_id_seq")
        return
    op.rename_table(old, new)
    op.execute("SET foreign_key_checks = 0")  # otherwise adding a foreign key copies the table
    for key in foreign:
        op.drop_constraint(key["name"], new, type_="foreignkey")
        name, target = renamed(key["name"], old, new), key["referred_table"]
        op.create_foreign_key(name, new, target, key["constrained_columns"], key["referred_columns"])
    op.execute("SET foreign_key_checks = 1")
    for index in sa.inspect(connection).get_indexes(new):  # the keys' own indexes have come and gone with them
        if (name := renamed(index["name"], old, new)) != index["name"]:
            op.execute(f"ALTER TABLE {new} RENAME INDEX {index['name']} TO {name}")


def copy(connection, old, new):
    table = sa.Table(old, sa.MetaData(), autoload_with=connection)
    for part in (*table.constraints, *table.indexes):
        if part.name:
            part.name = renamed(part.name, old, new)
    target = table.to_metadata(table.metadata, name=new)
    indexes = list(target.indexes)
    target.indexes.clear()  # their names are still taken
    connection.execute(sa.schema.CreateTable(target))
    names = [column.name for column in table.columns]
    connection.execute(target.insert().from_select(names, sa.select(*table.columns)))
    op.drop_table(old)
    for index in indexes:
        connection.execute(sa.schema.CreateIndex(index))


def renamed(name, old, new):
    return re.sub(rf"^(ix|uq|fk|pk)_{old}(?=_|$)", rf"\1_{new}", name)
