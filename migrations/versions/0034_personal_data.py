"""Erasures, retention and discarded files; ids of messages and followers are not given again on SQLite.

Revision ID: 0034
Revises: 0032
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0034"
down_revision = "0032"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}
LASTING_IDS = ("message_logs", "followers")


def exact(length):
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def upgrade():
    op.create_table(
        "erasures",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("follower_id", ROW_ID, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=True),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("begun_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("copies", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_erasures_account_id_accounts")),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_erasures_operator_id_operators")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        **MYSQL,
    )
    op.create_index(op.f("ix_erasures_account_id_id"), "erasures", ["account_id", "id"])
    op.create_table(
        "retention_policies",
        sa.Column("account_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_retention_policies_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_retention_policies")),
        **MYSQL,
    )
    op.create_table(
        "discarded_files",
        sa.Column("digest", exact(64), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_discarded_files")),
        **MYSQL,
    )
    for column in ("digest", "thumbnail", "playable"):
        op.create_index(op.f(f"ix_media_{column}"), "media", [column])
    change_keys("(id)", "(id AUTOINCREMENT)")


def downgrade():
    change_keys("(id AUTOINCREMENT)", "(id)")
    for column in ("digest", "thumbnail", "playable"):
        op.drop_index(op.f(f"ix_media_{column}"), "media")
    for table in ("discarded_files", "retention_policies", "erasures"):
        op.drop_table(table)


def change_keys(before, after):
    """Change the primary keys on SQLite by its procedure for what leaves the content of a table as it is.

    Building the tables anew would copy the whole message log (https://sqlite.org/lang_altertable.html).
    """
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute("CREATE TABLE temporary_ids (id INTEGER PRIMARY KEY AUTOINCREMENT)")  # brings sqlite_sequence
    op.execute("DROP TABLE temporary_ids")
    [version] = op.get_bind().exec_driver_sql("PRAGMA schema_version").one()
    op.execute("PRAGMA writable_schema=ON")
    for table in LASTING_IDS:
        key = f"PRIMARY KEY {before}", f"PRIMARY KEY {after}"
        change = sa.text("UPDATE sqlite_master SET sql = replace(sql, :before, :after) WHERE name = :name AND type = 'table'")
        op.get_bind().execute(change, {"before": key[0], "after": key[1], "name": table})
    op.execute(f"PRAGMA schema_version={version + 1}")
    op.execute("PRAGMA writable_schema=RESET")
