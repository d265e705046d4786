"""Calls of the platform's API, media, drafts and canned replies.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}

WANTED = sa.text("state = 'wanted'")


def exact(length):
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def required(name, kind, **options):
    return sa.Column(name, kind, nullable=False, **options)


def optional(name, kind):
    return sa.Column(name, kind, nullable=True)


def create_table(name, *columns, key="id", references=(), unique=""):
    op.create_table(
        name,
        *columns,
        *(
            sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{name}_{column}_{target}"))
            for column, target in references
        ),
        sa.PrimaryKeyConstraint(*key.split(), name=op.f(f"pk_{name}")),
        *([sa.UniqueConstraint(*unique.split(), name=op.f(f"uq_{name}_" + unique.replace(" ", "_")))] if unique else []),
        **MYSQL,
    )


def upgrade():
    create_table(
        "access_tokens",
        required("account_id", ROW_ID),
        required("kind", exact(32)),
        required("value", exact(1024)),
        optional("expires_at", TIME),
        optional("refreshing_until", TIME),
        key="account_id kind",
        references=[("account_id", "accounts")],
    )
    create_table(
        "capabilities",
        required("account_id", ROW_ID),
        required("feature", exact(32)),
        required("allowed", sa.Boolean()),
        required("by_operator", sa.Boolean()),
        required("at", TIME),
        key="account_id feature",
        references=[("account_id", "accounts")],
    )
    op.execute(
        "INSERT INTO capabilities (account_id, feature, allowed, by_operator, at)"
        " SELECT id, 'customer_service', false, false, customer_service_refused_at FROM accounts"
        " WHERE customer_service_refused_at IS NOT NULL"
    )
    with op.batch_alter_table("accounts") as accounts:
        accounts.drop_column("customer_service_refused_at")
    create_table(
        "call_counts",
        required("account_id", ROW_ID),
        required("hour", sa.Integer(), autoincrement=False),
        required("path", exact(96)),
        required("errcode", sa.Integer(), autoincrement=False),
        required("calls", sa.Integer()),
        required("milliseconds", ROW_ID),
        required("slowest", sa.Integer()),
        required("last_at", TIME),
        required("last_message", sa.String(255)),
        key="account_id hour path errcode",
        references=[("account_id", "accounts")],
    )
    create_table(
        "callback_outcomes",
        required("outcome", exact(32)),
        required("times", sa.Integer()),
        required("first_at", TIME),
        required("last_at", TIME),
        required("detail", sa.String(255)),
        key="outcome",
    )
    create_table(
        "workers",
        required("name", exact(128)),
        required("started_at", TIME),
        required("seen_at", TIME),
        key="name",
    )
    create_table(
        "syncs",
        required("id", ROW_ID),
        required("account_id", ROW_ID),
        required("state", sa.String(8)),
        required("started_by", sa.String(64)),
        required("started_at", TIME),
        required("seen_at", TIME),
        optional("finished_at", TIME),
        required("cursor", exact(64)),
        required("total", sa.Integer()),
        required("done", sa.Integer()),
        required("error", sa.String(255)),
        references=[("account_id", "accounts")],
    )
    create_table(
        "writebacks",
        required("id", ROW_ID),
        required("follower_id", ROW_ID),
        required("what", sa.String(16)),
        required("value", LONG_TEXT),
        required("created_at", TIME),
        required("attempts", sa.Integer()),
        required("error", sa.String(255)),
        references=[("follower_id", "followers")],
    )
    op.create_index(op.f("ix_writebacks_follower_id_id"), "writebacks", ["follower_id", "id"])
    for column in (
        sa.Column("remark", sa.String(64), nullable=False, server_default=""),
        sa.Column("unionid", exact(64), nullable=False, server_default=""),
        sa.Column("source", sa.String(48), nullable=False, server_default=""),
        optional("subscribed_at", TIME),
        optional("synced_at", TIME),
    ):
        op.add_column("followers", column)
    op.add_column("tags", optional("platform_id", sa.Integer()))
    create_table(
        "media",
        required("id", ROW_ID),
        required("message_id", ROW_ID),
        required("kind", sa.String(16)),
        required("media_id", exact(128)),
        required("state", sa.String(8)),
        required("digest", exact(64)),
        required("content_type", sa.String(64)),
        required("size", sa.Integer()),
        required("thumbnail", exact(64)),
        required("playable", exact(64)),
        required("attempts", sa.Integer()),
        optional("tried_at", TIME),
        required("error", sa.String(255)),
        required("created_at", TIME),
        optional("stored_at", TIME),
        references=[("message_id", "message_logs")],
        unique="message_id kind",
    )
    op.create_index("ix_media_wanted", "media", ["state"], sqlite_where=WANTED, postgresql_where=WANTED)
    create_table(
        "drafts",
        required("follower_id", ROW_ID),
        required("operator_id", ROW_ID),
        required("text", LONG_TEXT),
        required("written_at", TIME),
        key="follower_id operator_id",
        references=[("follower_id", "followers"), ("operator_id", "operators")],
    )
    create_table(
        "canned_replies",
        required("id", ROW_ID),
        required("account_id", ROW_ID),
        optional("operator_id", ROW_ID),
        required("shortcut", exact(32)),
        required("title", sa.String(64)),
        required("text", LONG_TEXT),
        required("used", sa.Integer()),
        references=[("account_id", "accounts"), ("operator_id", "operators")],
    )


def downgrade():
    for table in ("canned_replies", "drafts", "media"):
        op.drop_table(table)
    with op.batch_alter_table("tags") as tags:
        tags.drop_column("platform_id")
    with op.batch_alter_table("followers") as followers:
        for column in ("synced_at", "subscribed_at", "source", "unionid", "remark"):
            followers.drop_column(column)
    with op.batch_alter_table("accounts") as accounts:
        accounts.add_column(optional("customer_service_refused_at", TIME))
    op.execute(
        "UPDATE accounts SET customer_service_refused_at ="
        " (SELECT at FROM capabilities WHERE account_id = accounts.id AND feature = 'customer_service' AND NOT allowed)"
    )
    for table in ("writebacks", "syncs", "workers", "callback_outcomes", "call_counts", "capabilities", "access_tokens"):
        op.drop_table(table)
