"""Vectors of the texts from which questions are answered.

Revision ID: 0029
Revises: 0028
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def exact(length):
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def upgrade():
    op.create_table(
        "knowledge_vectors",
        sa.Column("account_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("source_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("model", exact(200), nullable=False),
        sa.Column("text_hash", exact(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_knowledge_vectors_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("account_id", "source", "source_id", name=op.f("pk_knowledge_vectors")),
        **MYSQL,
    )


def downgrade():
    op.drop_table("knowledge_vectors")
