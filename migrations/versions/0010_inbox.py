"""The message since which a follower waits, saved views, and an index for the conversations of an operator.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
NAME = sa.String(64).with_variant(
    mysql.VARCHAR(64, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}
INDEX = "ix_conversations_assignee_id_status_waiting_since_follower_id"


def reference(table, column, target):
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"))


def upgrade():
    op.add_column("conversations", sa.Column("waiting_id", ROW_ID, nullable=True))
    # Few conversations wait. One that an operator opened by hand waits since no message.
    op.execute(
        "UPDATE conversations SET waiting_id = (SELECT min(m.id) FROM message_logs m"
        " WHERE m.follower_id = conversations.follower_id AND m.created_at = conversations.waiting_since"
        " AND m.direction = 'in' AND m.event = '') WHERE waiting_since IS NOT NULL"
    )
    op.create_index(op.f(INDEX), "conversations", ["assignee_id", "status", "waiting_since", "follower_id"])
    op.create_table(
        "saved_views",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=True),
        sa.Column("name", NAME, nullable=False),
        sa.Column("query", LONG_TEXT, nullable=False),
        reference("saved_views", "account_id", "accounts"),
        reference("saved_views", "operator_id", "operators"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        **MYSQL,
    )


def downgrade():
    op.drop_table("saved_views")
    op.drop_index(op.f(INDEX), "conversations")
    op.drop_column("conversations", "waiting_id")
