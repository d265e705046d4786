"""Counts of pushes, and the troubles that channels of alerts were told of.

Revision ID: 0032
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0030"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def upgrade():
    op.create_table(
        "push_counts",
        sa.Column("account_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("slot", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("pushes", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("slow", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_push_counts_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "slot", name=op.f("pk_push_counts")),
        **MYSQL,
    )
    op.add_column("alert_channels", sa.Column("troubles", sa.JSON(), nullable=True))


def downgrade():
    op.drop_column("alert_channels", "troubles")
    op.drop_table("push_counts")
