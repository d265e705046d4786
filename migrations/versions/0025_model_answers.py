"""What became of questions to the assistant.

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def exact(length):
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def upgrade():
    op.create_table(
        "model_answers",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("follower_id", ROW_ID, nullable=True),
        sa.Column("dedup_key", exact(40), nullable=True),
        sa.Column("last_message_id", ROW_ID, nullable=True),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("error", sa.String(255), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("profile_version", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Double(), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("passages", sa.JSON(), nullable=False),
        sa.Column("question", LONG_TEXT, nullable=False),
        sa.Column("answer", LONG_TEXT, nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("rated_by", ROW_ID, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_model_answers_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["follower_id"], ["followers.id"], name=op.f("fk_model_answers_follower_id_followers")
        ),
        sa.ForeignKeyConstraint(
            ["rated_by"], ["operators.id"], name=op.f("fk_model_answers_rated_by_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_answers")),
        **MYSQL,
    )
    op.create_index(
        op.f("ix_model_answers_account_id_created_at"), "model_answers", ["account_id", "created_at"]
    )
    op.create_index(
        op.f("ix_model_answers_follower_id_created_at"), "model_answers", ["follower_id", "created_at"]
    )
    op.create_index(op.f("ix_model_answers_dedup_key"), "model_answers", ["dedup_key"])


def downgrade():
    op.drop_table("model_answers")
