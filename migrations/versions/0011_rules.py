"""Rules of the console: their history, their versions, what they keep of followers, and their hits.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def upgrade():
    op.add_column("bot_sessions", sa.Column("rule_memory", sa.JSON()))
    op.create_table(
        "rules",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("position", sa.Integer()),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_rules_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rules")),
        **MYSQL,
    )
    op.create_index(op.f("ix_rules_account_id_position"), "rules", ["account_id", "position"])
    op.create_table(
        "rule_versions",
        sa.Column("rule_id", ROW_ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("operator_id", ROW_ID),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("change", sa.String(16), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["rules.id"], name=op.f("fk_rule_versions_rule_id_rules")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_rule_versions_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("rule_id", "version", name=op.f("pk_rule_versions")),
        **MYSQL,
    )
    op.create_table(
        "rule_sets",
        sa.Column("account_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_rule_sets_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_rule_sets")),
        **MYSQL,
    )
    op.create_table(
        "rule_hits",
        sa.Column("rule_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("rule_id", "day", name=op.f("pk_rule_hits")),
        **MYSQL,
    )
    op.create_index(op.f("ix_rule_hits_day"), "rule_hits", ["day"])


def downgrade():
    for table in ("rule_hits", "rule_sets", "rule_versions", "rules"):
        op.drop_table(table)
    op.drop_column("bot_sessions", "rule_memory")
