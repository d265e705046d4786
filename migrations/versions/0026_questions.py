"""Questions that nobody answered.

Revision ID: 0026
Revises: 0025
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def upgrade():
    op.create_table(
        "question_groups",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("text", sa.String(200), nullable=False),
        sa.Column("message_id", ROW_ID, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("changed_at", TIME, nullable=True),
        sa.Column("reopened_at", TIME, nullable=True),
        sa.Column("assignee_id", ROW_ID, nullable=True),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("week_asked", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_question_groups_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["operators.id"], name=op.f("fk_question_groups_assignee_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question_groups")),
        **MYSQL,
    )
    op.create_index(
        op.f("ix_question_groups_account_id_state_week_week_asked_id"),
        "question_groups",
        ["account_id", "state", "week", "week_asked", "id"],
    )
    op.create_table(
        "question_tokens",
        sa.Column("account_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("token", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("group_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["question_groups.id"], name=op.f("fk_question_tokens_group_id_question_groups")
        ),
        sa.PrimaryKeyConstraint("account_id", "token", "group_id", name=op.f("pk_question_tokens")),
        **MYSQL,
    )
    op.create_index(op.f("ix_question_tokens_group_id"), "question_tokens", ["group_id"])
    op.create_table(
        "question_weeks",
        sa.Column("group_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["question_groups.id"], name=op.f("fk_question_weeks_group_id_question_groups")
        ),
        sa.PrimaryKeyConstraint("group_id", "week", name=op.f("pk_question_weeks")),
        **MYSQL,
    )
    op.create_table(
        "question_examples",
        sa.Column("message_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("group_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["question_groups.id"], name=op.f("fk_question_examples_group_id_question_groups")
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_question_examples")),
        **MYSQL,
    )
    op.create_index(
        op.f("ix_question_examples_group_id_message_id"), "question_examples", ["group_id", "message_id"]
    )
    op.execute("INSERT INTO progress (name, watermark, gaps) VALUES ('questions', 0, '[]')")


def downgrade():
    op.execute("DELETE FROM progress WHERE name = 'questions'")
    for table in ("question_examples", "question_weeks", "question_tokens", "question_groups"):
        op.drop_table(table)
