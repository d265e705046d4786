"""Who answers a follower, the bot or a person, and the policy of an account about it.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def upgrade():
    op.create_table(
        "handovers",
        sa.Column("follower_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("owner", sa.String(8), nullable=False),
        sa.Column("operator_id", ROW_ID),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("until", TIME),
        sa.Column("alerted_at", TIME),
        sa.Column("version", sa.Integer(), nullable=False),
        *keys("handovers"),
        sa.PrimaryKeyConstraint("follower_id", name=op.f("pk_handovers")),
        **MYSQL,
    )
    index("handovers", "account_id", "owner", "since")
    index("handovers", "account_id", "since")
    op.create_table(
        "handover_events",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("follower_id", ROW_ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("owner", sa.String(8), nullable=False),
        sa.Column("operator_id", ROW_ID),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("note", LONG_TEXT, nullable=False),
        *keys("handover_events"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover_events")),
        **MYSQL,
    )
    index("handover_events", "follower_id", "id")
    index("handover_events", "account_id", "at")
    op.create_table(
        "handover_policies",
        sa.Column("account_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        key("handover_policies", "account"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_handover_policies")),
        **MYSQL,
    )


def downgrade():
    op.execute("UPDATE message_logs SET state = 'withdrawn' WHERE state = 'withheld'")
    op.drop_table("handover_policies")
    op.drop_table("handover_events")
    op.drop_table("handovers")


def keys(table):
    return [key(table, each) for each in ("account", "follower", "operator")]


def key(table, other):
    name = op.f(f"fk_{table}_{other}_id_{other}s")
    return sa.ForeignKeyConstraint([f"{other}_id"], [f"{other}s.id"], name=name)


def index(table, *columns):
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))
