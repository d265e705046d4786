"""Accounts, followers, conversations, messages.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}
UNSETTLED = sa.text("state NOT IN ('answered', 'sent')")


def exact(length):
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def upgrade():
    op.create_table(
        "accounts",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("app_id", exact(64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("customer_service_refused_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("app_id", name=op.f("uq_accounts_app_id")),
        **MYSQL,
    )
    op.create_table(
        "followers",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("openid", exact(64), nullable=False),
        sa.Column("subscribed", sa.Boolean(), nullable=False),
        sa.Column("status_at", TIME, nullable=True),
        sa.Column("follow_count", sa.Integer(), nullable=False),
        sa.Column("scene", exact(128), nullable=False),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_followers_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_followers")),
        sa.UniqueConstraint("account_id", "openid", name=op.f("uq_followers_account_id_openid")),
        **MYSQL,
    )
    op.create_table(
        "conversations",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("follower_id", ROW_ID, nullable=False),
        sa.Column("state", sa.String(64), nullable=True),
        sa.Column("session", sa.JSON(), nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("ready_id", ROW_ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["follower_id"], ["followers.id"], name=op.f("fk_conversations_follower_id_followers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
        sa.UniqueConstraint("follower_id", name=op.f("uq_conversations_follower_id")),
        **MYSQL,
    )
    op.create_table(
        "message_logs",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("follower_id", ROW_ID, nullable=True),
        sa.Column("direction", sa.String(3), nullable=False),
        sa.Column("channel", sa.String(8), nullable=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("text", LONG_TEXT, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("platform_id", sa.String(64), nullable=False),
        sa.Column("dedup_key", exact(40), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("origin", sa.String(128), nullable=False),
        sa.Column("error", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_message_logs_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["follower_id"], ["followers.id"], name=op.f("fk_message_logs_follower_id_followers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_logs")),
        sa.UniqueConstraint("dedup_key", name=op.f("uq_message_logs_dedup_key")),
        **MYSQL,
    )
    op.create_index(op.f("ix_message_logs_follower_id_id"), "message_logs", ["follower_id", "id"])
    op.create_index(
        "ix_message_logs_unsettled",
        "message_logs",
        ["state"],
        sqlite_where=UNSETTLED,
        postgresql_where=UNSETTLED,
    )


def downgrade():
    op.drop_table("message_logs")
    op.drop_table("conversations")
    op.drop_table("followers")
    op.drop_table("accounts")
