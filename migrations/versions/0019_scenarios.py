"""Conversations of which operators want to keep the answers, and the results of playing them.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def upgrade():
    op.create_table(
        "scenarios",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_scenarios_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scenarios")),
        **MYSQL,
    )
    op.create_index(op.f("ix_scenarios_account_id"), "scenarios", ["account_id"])
    op.create_table(
        "scenario_results",
        sa.Column("scenario_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("rules_version", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scenario_id"], ["scenarios.id"], name=op.f("fk_scenario_results_scenario_id_scenarios")
        ),
        sa.PrimaryKeyConstraint("scenario_id", name=op.f("pk_scenario_results")),
        **MYSQL,
    )


def downgrade():
    op.drop_table("scenario_results")
    op.drop_table("scenarios")
