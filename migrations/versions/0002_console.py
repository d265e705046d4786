"""Operators, what they keep of followers, and what is derived from messages.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}

SEARCH_TABLES = {"message_search": "message_id", "follower_search": "follower_id"}
"""Which tokens a text has. Each database has its own way to index them (docs/decisions/0005)."""


def exact(length):
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def reference(table, column, target):
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"))


def upgrade():
    op.create_table(
        "operators",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", exact(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_sign_in_at", TIME, nullable=True),
        sa.Column("last_sign_in_address", sa.String(64), nullable=False),
        sa.Column("totp_secret", sa.String(64), nullable=False),
        sa.Column("totp_step", sa.Integer(), nullable=False),
        sa.Column("recovery_hashes", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("theme", sa.String(8), nullable=False),
        sa.Column("shortcuts", sa.Boolean(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("dense", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
        sa.UniqueConstraint("name", name=op.f("uq_operators_name")),
        **MYSQL,
    )
    op.create_table(
        "operator_sessions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("token_hash", exact(64), nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("browser", sa.String(255), nullable=False),
        reference("operator_sessions", "operator_id", "operators"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_operator_sessions_token_hash")),
        **MYSQL,
    )
    op.create_index(op.f("ix_operator_sessions_operator_id"), "operator_sessions", ["operator_id"])
    op.create_table(
        "lockouts",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("value", exact(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lockouts")),
        sa.UniqueConstraint("kind", "value", name=op.f("uq_lockouts_kind_value")),
        **MYSQL,
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=True),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", exact(128), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("detail", LONG_TEXT, nullable=False),
        reference("audit_entries", "operator_id", "operators"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        **MYSQL,
    )
    op.create_index(op.f("ix_audit_entries_subject_id"), "audit_entries", ["subject", "id"])

    op.add_column("followers", sa.Column("alias", sa.String(64), nullable=False, server_default=""))
    op.create_table(
        "threads",
        sa.Column("follower_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("last_id", ROW_ID, nullable=False),
        sa.Column("last_in_id", ROW_ID, nullable=False),
        sa.Column("read_id", ROW_ID, nullable=False),
        sa.Column("messages_in", sa.Integer(), nullable=False),
        sa.Column("messages_out", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("waiting_since", TIME, nullable=True),
        sa.Column("assignee_id", ROW_ID, nullable=True),
        sa.Column("starred", sa.Boolean(), nullable=False),
        reference("threads", "follower_id", "followers"),
        reference("threads", "assignee_id", "operators"),
        sa.PrimaryKeyConstraint("follower_id", name=op.f("pk_threads")),
        **MYSQL,
    )
    for columns in (
        ["last_id"],
        ["status", "last_id"],
        ["status", "waiting_since", "follower_id"],
        ["assignee_id", "last_id"],
        ["starred", "last_id"],
    ):
        op.create_index(op.f("ix_threads_" + "_".join(columns)), "threads", columns)
    op.create_table(
        "tags",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("name", exact(32), nullable=False),
        sa.Column("colour", sa.String(16), nullable=False),
        reference("tags", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_tags_account_id_name")),
        **MYSQL,
    )
    op.create_table(
        "follower_tags",
        sa.Column("follower_id", ROW_ID, nullable=False),
        sa.Column("tag_id", ROW_ID, nullable=False),
        reference("follower_tags", "follower_id", "followers"),
        reference("follower_tags", "tag_id", "tags"),
        sa.PrimaryKeyConstraint("follower_id", "tag_id", name=op.f("pk_follower_tags")),
        **MYSQL,
    )
    op.create_index(op.f("ix_follower_tags_tag_id_follower_id"), "follower_tags", ["tag_id", "follower_id"])
    op.create_table(
        "notes",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("follower_id", ROW_ID, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("text", LONG_TEXT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        reference("notes", "follower_id", "followers"),
        reference("notes", "operator_id", "operators"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notes")),
        **MYSQL,
    )
    op.create_index(op.f("ix_notes_follower_id_created_at"), "notes", ["follower_id", "created_at"])
    op.create_table(
        "mentions",
        sa.Column("note_id", ROW_ID, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("seen_at", TIME, nullable=True),
        reference("mentions", "note_id", "notes"),
        reference("mentions", "operator_id", "operators"),
        sa.PrimaryKeyConstraint("note_id", "operator_id", name=op.f("pk_mentions")),
        **MYSQL,
    )
    op.create_index(op.f("ix_mentions_operator_id_seen_at"), "mentions", ["operator_id", "seen_at"])
    op.create_table(
        "presences",
        sa.Column("follower_id", ROW_ID, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        reference("presences", "follower_id", "followers"),
        reference("presences", "operator_id", "operators"),
        sa.PrimaryKeyConstraint("follower_id", "operator_id", name=op.f("pk_presences")),
        **MYSQL,
    )

    op.create_table(
        "progress",
        sa.Column("name", exact(32), nullable=False),
        sa.Column("watermark", ROW_ID, nullable=False),
        sa.Column("gaps", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_progress")),
        **MYSQL,
    )
    op.create_table(
        "hours",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_id", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("hour", name=op.f("pk_hours")),
        **MYSQL,
    )
    for name in ("messages", "followers", "rebuild", "slow"):
        op.execute(f"INSERT INTO progress (name, watermark, gaps) VALUES ('{name}', 0, '[]')")
    for table, key in SEARCH_TABLES.items():
        create_search_table(table, key)


def create_search_table(table, key):
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        contentless = "content='', " if table == "message_search" else ""  # nothing is removed from it
        options = f"{contentless}detail=none, columnsize=0, tokenize=ascii"
        op.execute(f"CREATE VIRTUAL TABLE {table} USING fts5(tokens, {options})")
    elif dialect == "postgresql":
        op.execute(f"CREATE TABLE {table} ({key} BIGINT PRIMARY KEY, tokens INTEGER[] NOT NULL)")
        op.execute(f"CREATE INDEX ix_{table}_tokens ON {table} USING gin (tokens)")
    else:
        op.execute(
            f"CREATE TABLE {table} ({key} BIGINT PRIMARY KEY, tokens MEDIUMTEXT NOT NULL,"
            f" FULLTEXT ix_{table}_tokens (tokens)) ENGINE=InnoDB CHARSET=ascii COLLATE=ascii_bin"
        )


def downgrade():
    for table in SEARCH_TABLES:
        op.execute(f"DROP TABLE {table}")
    for table in ("hours", "progress", "presences", "mentions", "notes", "follower_tags", "tags", "threads"):
        op.drop_table(table)
    with op.batch_alter_table("followers") as followers:
        followers.drop_column("alias")
    for table in ("audit_entries", "lockouts", "operator_sessions", "operators"):
        op.drop_table(table)
